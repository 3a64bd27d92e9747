"""Credentials of browsers: what the seal knows again, and when a session is good."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import config_pb2 as pb

from libs.clock import ManualClock
from libs.errors import Unauthenticated
from libs.rpc.auth import CredentialExpired, CredentialInvalid, KeyAuthenticator, SessionEnded, digest, handle_of
from libs.rpc.principal import Principal
from libs.rpc.sessions import Session, SessionSeal

NOW = datetime(2030, 1, 1, tzinfo=UTC)
NEW, OLD = "lgs_new", "lgs_old"
SEAL = SessionSeal([OLD])
SESSION = Session(id="ses-1", key="key-1", expires_at=NOW + timedelta(hours=1))
CREDENTIAL = SEAL.sealed(SESSION)


class Door:
    """A service that lets sessions in: its keys, its clock, who was signed out, and what it noted."""

    def __init__(self, *, tokens: tuple[str, ...] = (OLD,)) -> None:
        self.keys = [key("key-1")]
        self.clock = ManualClock(NOW)
        self.ended: list[pb.EndedSession] = []
        self.used: list[str] = []
        self._authenticator = KeyAuthenticator(
            tokens, lambda: self.keys, clock=self.clock, used=self.used.append, ended=lambda: self.ended
        )

    def enter(self, credential: str = CREDENTIAL) -> Principal:
        return self._authenticator.authenticate({"authorization": f"Bearer {credential}"})


def key(key_id: str, *, secret: str = "secret", scope: api.Scope.ValueType = api.READ) -> pb.ApiKey:
    return pb.ApiKey(id=key_id, title="phone", user="ann", digest=digest(secret), scopes=[scope])


@given(st.integers(0, len(CREDENTIAL) - 1), st.characters(min_codepoint=33, max_codepoint=126))
def test_a_credential_with_any_other_character_is_none(place: int, character: str) -> None:
    changed = CREDENTIAL[:place] + character + CREDENTIAL[place + 1 :]

    assert SEAL.opened(changed) == (SESSION if changed == CREDENTIAL else None)


@given(st.integers(0, len(CREDENTIAL) - 1))
def test_a_credential_that_is_cut_is_none(length: int) -> None:
    assert SEAL.opened(CREDENTIAL[:length]) is None


@given(st.text())
def test_whatever_is_sent_is_no_credential_and_no_ticket_unless_we_made_it(text: str) -> None:
    for sent in (text, f"lgb_{text}", f"lgt_{text}", f"lgb_{text}.{text}"):
        assert SEAL.opened(sent) is None
        assert not SEAL.is_ticket(sent)


def test_what_is_signed_for_one_purpose_is_good_for_no_other() -> None:
    ticket = SEAL.ticket(lambda size: b"x" * size)

    assert SEAL.is_ticket(ticket)
    assert SEAL.opened(ticket.replace("lgt_", "lgb_")) is None
    assert SEAL.opened(f"lgb_e30.{SEAL.csrf_token('e30')}") is None
    assert not SEAL.is_csrf_token(CREDENTIAL.rpartition(".")[2], CREDENTIAL.rpartition(".")[0])


def test_what_is_too_long_to_be_ours_is_not_even_looked_at() -> None:
    assert SEAL.opened(SEAL.sealed(replace(SESSION, id="s" * 400))) is None


def test_a_csrf_token_is_that_of_its_session_alone() -> None:
    assert SEAL.is_csrf_token(SEAL.csrf_token("ses-1"), "ses-1")
    assert not SEAL.is_csrf_token(SEAL.csrf_token("ses-1"), "ses-2")


def test_who_knows_the_root_key_of_before_signs_what_everybody_verifies() -> None:
    rolled_out = SessionSeal([NEW, OLD])

    assert [seal.opened(rolled_out.sealed(SESSION)) for seal in (SEAL, rolled_out)] == [SESSION, SESSION]
    assert SessionSeal([NEW]).opened(CREDENTIAL) is None


def test_a_browser_acts_as_the_holder_of_its_key_and_its_use_is_the_keys() -> None:
    door = Door()

    caller = door.enter()

    assert caller == Principal(name="ann", title="phone", key="key-1", scopes=frozenset({api.READ}), session="ses-1")
    assert door.used == ["key-1"]


def test_a_session_may_at_once_what_its_key_may() -> None:
    door = Door()
    door.enter()

    door.keys = [key("key-1", scope=api.ADMIN)]

    assert door.enter().may(api.ADMIN)


def test_a_session_is_good_until_its_end_and_not_at_it() -> None:
    door = Door()
    door.clock.advance(timedelta(minutes=59, seconds=59))
    assert door.enter()

    door.clock.advance(timedelta(seconds=1))

    with pytest.raises(SessionEnded):
        door.enter()


def test_a_session_that_was_signed_out_and_one_whose_key_is_gone_are_over() -> None:
    signed_out, bereft = Door(), Door()
    signed_out.ended = [pb.EndedSession(id="ses-1")]
    bereft.keys = [key("key-2")]

    for door in (signed_out, bereft):
        with pytest.raises(SessionEnded):
            door.enter()


def test_a_session_ends_with_its_key() -> None:
    door = Door()
    door.keys[0].expire_time.FromDatetime(NOW)

    with pytest.raises(CredentialExpired):
        door.enter()


def test_another_key_of_the_environment_ends_the_sessions_of_the_one_before() -> None:
    door = Door()
    door.keys = [key("")]
    credential = SEAL.sealed(replace(SESSION, key=handle_of("", digest("secret"))))
    assert door.enter(credential).name == "ann"

    door.keys = [key("", secret="another")]

    with pytest.raises(SessionEnded):
        door.enter(credential)


@pytest.mark.parametrize("tokens", [(NEW,), ()])
def test_a_session_of_another_root_key_is_no_session(tokens: tuple[str, ...]) -> None:
    with pytest.raises(CredentialInvalid):
        Door(tokens=tokens).enter()


def test_who_is_not_told_of_sessions_that_ended_lets_none_in() -> None:
    door = KeyAuthenticator([OLD], lambda: [key("key-1")])

    with pytest.raises(Unauthenticated):
        door.authenticate({"authorization": f"Bearer {CREDENTIAL}"})
