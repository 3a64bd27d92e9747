"""API keys: their form, what is kept of them, and how they live and end."""

import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from libs.errors import InvalidArgument
from services.config.domain.keys import (
    AdminKeyUnusable,
    Key,
    KeyExpired,
    KeyRevoked,
    KeyState,
    NewKey,
    Terms,
    admin_key,
    digest_of,
    given_admin_key,
    new_key,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
READS = Terms(title="phone", scopes=("READ",))


def made(terms: Terms = READS, *, user: str = "") -> Key:
    return Key.made(NewKey(terms=terms, user=user), "lg_first", key_id="key-1", creator="admin", now=NOW)


def test_a_new_key_is_lg_and_43_characters() -> None:
    assert re.fullmatch(r"lg_[A-Za-z0-9_-]{43}", new_key(os.urandom))


def test_only_the_digest_and_the_first_seven_characters_of_a_secret_are_kept() -> None:
    key = Key.made(NewKey(terms=READS), "lg_sesame-open", key_id="key-1", creator="admin", now=NOW)

    assert (key.digest, key.hint) == (sha256(b"lg_sesame-open").digest(), "lg_sesa")


def test_no_digest_is_shown_by_accident() -> None:
    key = made().rotated("lg_second", overlap=HOUR, now=NOW)

    assert str(key.digest) not in f"{key!r} {key.admitted()!r}"
    assert str(key.previous_digest) not in f"{key!r} {key.admitted()!r}"


def test_a_key_without_a_user_is_its_titles_and_stays_so_when_the_title_changes() -> None:
    renamed = made().changed(replace(READS, title="tablet"), now=NOW)

    assert (renamed.user, renamed.terms.title) == ("phone", "tablet")


@pytest.mark.parametrize("title", ["", " ", " phone", "line\nbreak", "x" * 101, "\u202egnp"])
def test_a_title_that_cannot_be_shown_is_refused(title: str) -> None:
    with pytest.raises(InvalidArgument, match=r"key\.title"):
        made(replace(READS, title=title))


@pytest.mark.parametrize("name", ["service", "Anonymous", "LOCKGROOVE_ADMIN_KEY", "lockgroove", "batches/bat-1"])
def test_nobody_acts_under_a_name_of_the_suite_itself(name: str) -> None:
    with pytest.raises(InvalidArgument, match=r"key\.user"):
        made(user=name)
    with pytest.raises(InvalidArgument, match=r"key\.title"):
        made(replace(READS, title=name))


def test_a_title_may_be_a_name_of_the_suite_where_the_user_is_somebody() -> None:
    assert made(replace(READS, title="service"), user="ann").user == "ann"


def test_a_key_without_scopes_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"key\.scopes"):
        made(replace(READS, scopes=()))


def test_an_end_that_is_past_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"key\.expire_time"):
        made(replace(READS, expires_at=NOW))
    with pytest.raises(InvalidArgument, match=r"key\.expire_time"):
        made().changed(replace(READS, expires_at=NOW), now=NOW)


def test_a_key_that_has_ended_can_be_renamed() -> None:
    ended = made(replace(READS, expires_at=NOW + HOUR))

    assert ended.changed(replace(ended.terms, title="old phone"), now=NOW + 2 * HOUR).terms.title == "old phone"


def test_a_key_that_has_ended_gets_no_new_secret() -> None:
    with pytest.raises(KeyExpired):
        made(replace(READS, expires_at=NOW + HOUR)).rotated("lg_second", overlap=HOUR, now=NOW + HOUR)


def test_the_same_terms_again_change_nothing() -> None:
    key = made(replace(READS, scopes=("READ", "ADMIN")))

    assert key.changed(replace(READS, scopes=("ADMIN", "READ")), now=NOW + HOUR) is key


def test_of_a_key_that_was_taken_back_no_digest_is_kept() -> None:
    key = made().rotated("lg_second", overlap=HOUR, now=NOW).revoked(now=NOW)

    assert not {key.digest, key.previous_digest} & {digest_of("lg_first"), digest_of("lg_second")}


class LifeOfAKey(RuleBasedStateMachine):
    """A key that is rotated, changed and taken back at any time, beside a list of its secrets with their ends."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.key = made()
        self.end: datetime | None = None
        self.gone = False
        self.secrets: list[tuple[str, datetime | None]] = [("lg_first", None)]

    @rule(by=st.integers(1, 200))
    def time_passes(self, by: int) -> None:
        self.now += by * timedelta(minutes=1)

    @rule(overlap=st.integers(0, 120))
    def rotate(self, overlap: int) -> None:
        secret, span = f"lg_{len(self.secrets)}-{self.now}", overlap * timedelta(minutes=1)
        if self.key.state(self.now) is not KeyState.ACTIVE:
            with pytest.raises((KeyRevoked, KeyExpired)):
                self.key.rotated(secret, overlap=span, now=self.now)
            return
        self.key = self.key.rotated(secret, overlap=span, now=self.now)
        current, _ = self.secrets[-1]
        self.secrets = [(current, self.now + span), (secret, None)]

    @rule(minutes=st.none() | st.integers(1, 200))
    def change_the_end(self, minutes: int | None) -> None:
        end = None if minutes is None else self.now + minutes * timedelta(minutes=1)
        if self.gone:
            with pytest.raises(KeyRevoked):
                self.key.changed(replace(READS, expires_at=end), now=self.now)
            return
        self.key, self.end = self.key.changed(replace(READS, expires_at=end), now=self.now), end

    @rule()
    def revoke(self) -> None:
        self.key, self.gone = self.key.revoked(now=self.now), True

    @invariant()
    def exactly_the_right_secrets_are_good(self) -> None:
        ends = [(digest_of(secret), end) for secret, end in self.secrets]
        right = {digest for digest, end in ends if self._good(end) and self._good(self.end) and not self.gone}

        assert {key.digest for key in self.key.admitted() if self._good(key.expires_at)} == right

    @invariant()
    def the_state_says_whether_the_newest_secret_is_good(self) -> None:
        good = not self.gone and self._good(self.end)

        assert (self.key.state(self.now) is KeyState.ACTIVE) == good
        assert (self.key.state(self.now) is KeyState.REVOKED) == self.gone

    def _good(self, end: datetime | None) -> bool:
        return end is None or end > self.now


TestLifeOfAKey = LifeOfAKey.TestCase
TestLifeOfAKey.settings = settings(max_examples=50, stateful_step_count=20, deadline=None)


def test_an_administrators_key_has_the_scope_of_one() -> None:
    assert admin_key("lg_sesame", title="admin").scopes == ("ADMIN",)


def test_a_given_key_of_16_characters_is_accepted() -> None:
    assert given_admin_key("x" * 16).title == "LOCKGROOVE_ADMIN_KEY"


@pytest.mark.parametrize(
    "key", ["a key of two and more words", "schlüssel-schlüssel", "x" * 513, "line\nline-line-line", " " * 20]
)
def test_a_key_that_no_header_can_carry_is_refused_at_the_start(key: str) -> None:
    with pytest.raises(AdminKeyUnusable, match="LOCKGROOVE_ADMIN_KEY"):
        given_admin_key(key)


def test_a_shorter_key_is_refused_without_being_told() -> None:
    with pytest.raises(AdminKeyUnusable, match="at least 16 characters") as caught:
        given_admin_key("qqqqqqqqqqqqqqq")

    assert "qqq" not in str(caught.value)
