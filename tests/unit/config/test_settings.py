"""What the process is told at its start."""

from pathlib import Path

from services.config.settings import Settings


def test_an_empty_environment_is_enough() -> None:
    settings = Settings.from_environment({})

    assert (settings.home, settings.listen) == (Path("data").absolute(), "127.0.0.1:50053")


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.from_environment({"DATABASE_URL": "", "LOCKGROOVE_ADMIN_KEY": ""}).admin_key is None


def test_nothing_secret_shows_in_a_repr() -> None:
    names = ["LOCKGROOVE_SECRET_KEY", "LOCKGROOVE_ADMIN_KEY", "DATABASE_URL", "LIDARR_API_KEY"]

    assert "sesame" not in repr(Settings.from_environment(dict.fromkeys(names, "sesame")))
