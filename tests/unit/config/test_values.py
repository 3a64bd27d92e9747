"""Which value is in force, and that none of them shows itself."""

from services.config.catalogue import load_catalogue
from services.config.domain.values import Fallbacks, Source, Stored

CATALOGUE = load_catalogue()
FALLBACKS = Fallbacks(CATALOGUE, {"lidarr.api_key": "from-environment", "soulseek.listen_port": "2"})


def stored(unreadable: frozenset[str] = frozenset(), **texts: str) -> Stored:
    named = {path.replace("__", "."): text for path, text in texts.items()}
    return Stored(version=7, texts=named, unreadable=unreadable)


def test_the_database_wins_over_the_environment() -> None:
    value = FALLBACKS.under(stored(lidarr__api_key="stored")).values["lidarr.api_key"]

    assert (value.text, value.source) == ("stored", Source.DATABASE)


def test_the_environment_wins_over_the_default() -> None:
    value = FALLBACKS.under(stored()).values["soulseek.listen_port"]

    assert (value.text, value.source) == ("2", Source.ENVIRONMENT)


def test_the_default_is_the_last_resort() -> None:
    value = FALLBACKS.under(stored()).values["soulseek.idle_timeout"]

    assert (value.text, value.source) == ("60s", Source.DEFAULT)


def test_a_setting_without_any_value_is_left_out() -> None:
    assert "lidarr.url" not in FALLBACKS.under(stored()).values


def test_a_stored_value_that_cannot_be_read_is_not_replaced_by_its_fallback() -> None:
    in_force = FALLBACKS.under(stored(unreadable=frozenset({"lidarr.api_key"})))

    assert "lidarr.api_key" not in in_force.values


def test_the_etag_is_quoted() -> None:
    assert FALLBACKS.under(stored()).etag == '"7"'


def test_no_value_shows_in_a_repr() -> None:
    held = stored(lidarr__api_key="sesame")

    assert "sesame" not in f"{held!r}{FALLBACKS.under(held)!r}"
