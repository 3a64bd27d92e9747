"""Where services are called: one address, several, or where they listen; what is neither stops the start."""

import pytest

from libs.addresses import addresses_of, target_of
from libs.errors import InvalidArgument

LISTEN = "127.0.0.1:50053"
TARGET = "LOCKGROOVE_CONFIG_TARGET"


def test_a_service_is_called_where_it_listens_unless_something_else_is_said() -> None:
    listens = {"LOCKGROOVE_CONFIG_LISTEN": "10.0.0.1:1"}

    assert target_of({}, "config", LISTEN) == LISTEN
    assert target_of(listens, "config", LISTEN) == "10.0.0.1:1"
    assert target_of({**listens, TARGET: "config:2"}, "config", LISTEN) == "config:2"


@pytest.mark.parametrize("target", ["10.0.0.1:1,10.0.0.2:1", "[::1]:1,[::1]:2", " 10.0.0.1:1 , 10.0.0.2:1,"])
def test_several_replicas_are_a_list_of_addresses(target: str) -> None:
    found = target_of({TARGET: target}, "config", LISTEN)

    assert len(addresses_of(found)) == 2
    assert " " not in found


@pytest.mark.parametrize(
    "target", ["config", "config:port", "one:1,two:2", "127.0.0.1:1,[::1]:1", "10.0.0.1:1;10.0.0.2:1", ",", "a:99999"]
)
def test_what_is_no_address_is_refused_with_the_name_of_the_variable(target: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        target_of({TARGET: target}, "config", LISTEN)

    assert TARGET in str(refused.value) or TARGET in [each.field for each in refused.value.violations]
