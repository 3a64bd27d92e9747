"""What a scope allows."""

import pytest
from lockgroove.api.v1 import annotations_pb2 as api

from libs.rpc.principal import ANONYMOUS, SERVICE, Principal

LADDER = [api.READ, api.REQUEST, api.OPERATE, api.ADMIN]


@pytest.mark.parametrize("held", range(4))
@pytest.mark.parametrize("needed", range(4))
def test_each_scope_includes_the_ones_before_it(held: int, needed: int) -> None:
    assert Principal(name="key", scopes=frozenset({LADDER[held]})).may(LADDER[needed]) == (held >= needed)


@pytest.mark.parametrize("held", LADDER)
def test_no_key_is_one_of_the_suites_services(held: int) -> None:
    assert not Principal(name="key", scopes=frozenset({held})).may(api.INTERNAL)


@pytest.mark.parametrize("needed", [api.PUBLIC, *LADDER, api.INTERNAL])
def test_the_suites_services_may_do_everything(needed: int) -> None:
    assert SERVICE.may(needed)


@pytest.mark.parametrize("needed", [*LADDER, api.INTERNAL])
def test_nobody_in_particular_may_do_nothing_in_particular(needed: int) -> None:
    assert not ANONYMOUS.may(needed)


def test_everybody_may_do_what_is_public() -> None:
    assert ANONYMOUS.may(api.PUBLIC)


def test_several_scopes_allow_what_the_highest_allows() -> None:
    assert Principal(name="key", scopes=frozenset({api.READ, api.OPERATE})).may(api.REQUEST)
