"""The gateway's environment."""

from pathlib import Path

import pytest

from libs.errors import InvalidArgument
from services.gateway.settings import Settings


def test_without_variables_it_listens_on_loopback() -> None:
    settings = Settings.from_environment({})

    assert (settings.host, settings.port, settings.home) == ("127.0.0.1", 3006, Path("data").absolute())
    assert (settings.acquisition, settings.config) == ("127.0.0.1:50051", "127.0.0.1:50053")


def test_variables_are_read_and_empty_ones_count_as_unset() -> None:
    settings = Settings.from_environment({"LOCKGROOVE_HOST": "0.0.0.0", "LOCKGROOVE_PORT": ""})

    assert (settings.host, settings.port) == ("0.0.0.0", 3006)


@pytest.mark.parametrize("port", ["http", "-1", "65536", "٣"])
def test_a_port_that_is_none_is_named(port: str) -> None:
    with pytest.raises(InvalidArgument, match="LOCKGROOVE_PORT"):
        Settings.from_environment({"LOCKGROOVE_PORT": port})


def test_the_root_key_does_not_show() -> None:
    assert "hush" not in repr(Settings.from_environment({"LOCKGROOVE_SECRET_KEY": "hush"}))
