"""Where the senders are that have an API: known when they are set up and nobody switched them off."""

import pytest
from lockgroove.config.v1 import config_pb2 as pb

from services.webhooks.peers import Address, address_in

Settings = type[pb.LidarrSettings] | type[pb.SlskdSettings]

BOTH: list[Settings] = [pb.LidarrSettings, pb.SlskdSettings]


@pytest.mark.parametrize("settings", BOTH)
def test_a_sender_with_address_and_key_is_looked_after_unless_it_is_switched_off(settings: Settings) -> None:
    known = [address_in(settings(url="http://x", api_key="key", enabled=enabled)) for enabled in (None, True, False)]

    assert known == [Address(url="http://x", api_key="key")] * 2 + [None]


@pytest.mark.parametrize("settings", BOTH)
def test_a_sender_without_address_or_key_is_not_looked_after(settings: Settings) -> None:
    assert [address_in(settings(url="http://x")), address_in(settings(api_key="key"))] == [None, None]
