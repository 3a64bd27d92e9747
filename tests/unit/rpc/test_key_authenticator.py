"""Who holds a key, until when, and what is noted of it."""

from datetime import UTC, datetime, timedelta

import pytest
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import config_pb2 as pb

from libs.clock import ManualClock
from libs.rpc.auth import CredentialExpired, CredentialInvalid, KeyAuthenticator, digest
from libs.rpc.principal import SERVICE, Principal

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TOKENS = ["lgs_new", "lgs_old"]


def key(secret: str, *, ends_in: timedelta | None = None, user: str = "ann") -> pb.ApiKey:
    made = pb.ApiKey(id=f"key-{secret}", title="phone", user=user, digest=digest(secret), scopes=[api.READ])
    if ends_in is not None:
        made.expire_time.FromDatetime(NOW + ends_in)
    return made


class Door:
    """An authenticator with its keys, its clock and what it noted."""

    def __init__(self, *keys: pb.ApiKey) -> None:
        self.keys = list(keys)
        self.clock = ManualClock(NOW)
        self.used: list[str] = []
        self._authenticator = KeyAuthenticator(TOKENS, lambda: self.keys, clock=self.clock, used=self.used.append)

    def enter(self, credential: str) -> Principal:
        return self._authenticator.authenticate({"x-api-key": credential})


def test_who_holds_a_key_acts_as_its_user() -> None:
    caller = Door(key("a"), key("b", user="bob")).enter("b")

    assert caller == Principal(name="bob", title="phone", key="key-b", scopes=frozenset({api.READ}))


def test_a_key_without_a_user_acts_under_its_title() -> None:
    assert Door(key("a", user="")).enter("a").name == "phone"


def test_scopes_of_the_suite_itself_and_of_later_releases_allow_nothing() -> None:
    strange = key("a")
    strange.scopes.extend([api.INTERNAL, 7])  # type: ignore[list-item]  # 7 is no Scope yet

    caller = Door(strange).enter("a")

    assert [caller.may(scope) for scope in (api.READ, api.REQUEST, api.ADMIN, api.INTERNAL)] == [True] + [False] * 3


@pytest.mark.parametrize("token", TOKENS)
def test_each_of_the_suites_tokens_is_the_suite(token: str) -> None:
    assert Door().enter(token) == SERVICE


def test_a_key_is_good_until_its_end_and_not_at_it() -> None:
    door = Door(key("a", ends_in=timedelta(seconds=2)))
    door.clock.advance(timedelta(seconds=1.999))
    assert door.enter("a")

    door.clock.advance(timedelta(milliseconds=1))

    with pytest.raises(CredentialExpired):
        door.enter("a")


def test_who_never_held_an_expired_key_learns_nothing_of_it() -> None:
    with pytest.raises(CredentialInvalid):
        Door(key("a", ends_in=timedelta(days=-1))).enter("b")


def test_a_key_of_the_next_snapshot_is_known_and_one_that_it_lacks_is_not() -> None:
    door = Door(key("a"))
    door.enter("a")

    door.keys = [key("b")]

    assert door.enter("b")
    with pytest.raises(CredentialInvalid):
        door.enter("a")


def test_both_secrets_of_a_rotated_key_are_its_holder_and_each_has_its_end() -> None:
    before, after = key("old", ends_in=timedelta(hours=1)), key("new")
    before.id = after.id = "key-1"
    door = Door(after, before)
    assert door.enter("old") == door.enter("new")

    door.clock.advance(timedelta(hours=1))

    assert door.enter("new")
    with pytest.raises(CredentialExpired):
        door.enter("old")


def test_only_good_keys_with_an_id_are_noted_as_used() -> None:
    given = key("given")
    given.id = ""
    door = Door(key("a"), key("b", ends_in=timedelta(0)), given)
    door.enter("a")
    door.enter("given")
    door.enter(TOKENS[0])
    with pytest.raises(CredentialExpired):
        door.enter("b")

    assert door.used == ["key-a"]
