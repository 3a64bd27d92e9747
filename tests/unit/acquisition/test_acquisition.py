from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.acquisition.domain.acquisition import ENDED, RETRYABLE, TRANSITIONS, Acquisition, State, WrongState
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import AttemptState, Failure, Progress, Source
from services.acquisition.domain.files import LibraryFile

START = datetime(2026, 11, 22, tzinfo=UTC)
FAILURE = Failure(reason="STALLED", message="Nothing came.")
FILES = (LibraryFile(path="/music/a/b/01.flac", size=3, sha256="00"),)


def acquisition(state: State = State.QUEUED, *, fallback: Source | None = None) -> Acquisition:
    album = Album(artist="The Placeholders", title="Lorem")
    return Acquisition(
        id="acq-1",
        album=album,
        source=Source.SOULSEEK,
        fallback=fallback,
        created=START,
        updated=START,
        state=state,
    )


def test_a_transition_that_is_not_drawn_is_refused_and_named() -> None:
    with pytest.raises(WrongState) as refused:
        acquisition(State.COMPLETED).moved(State.SEARCHING, START)

    assert refused.value.metadata == {"name": "acquisitions/acq-1", "state": "COMPLETED", "wanted": "SEARCHING"}


def test_every_state_is_drawn() -> None:
    assert set(TRANSITIONS) == set(State)


def test_only_failed_and_cancelled_ones_can_be_retried() -> None:
    for state in State:
        if state in RETRYABLE:
            assert acquisition(state).retried(START).state is State.QUEUED
        else:
            with pytest.raises(WrongState):
                acquisition(state).retried(START)


def test_a_fallback_takes_over_what_its_source_failed_and_the_attempts_tell_of_both() -> None:
    searching = acquisition(State.SEARCHING, fallback=Source.LIDARR)

    handed = searching.failed(FAILURE, START).handed_over(START)

    assert (handed.state, handed.current, handed.ended) == (State.QUEUED, Source.LIDARR, None)
    assert [(one.number, one.source, one.failure) for one in handed.attempts] == [(1, Source.SOULSEEK, FAILURE)]


def test_a_source_that_tried_gets_no_attempt_more_when_its_fallback_takes_over() -> None:
    running = acquisition(State.DOWNLOADING, fallback=Source.LIDARR).tried(Source.SOULSEEK, "ada", START)

    handed = running.failed(FAILURE, START).handed_over(START)

    assert [one.peer for one in handed.attempts] == ["ada"]


def test_when_the_fallback_fails_too_the_failure_tells_both_reasons() -> None:
    handed = acquisition(State.SEARCHING, fallback=Source.LIDARR).failed(FAILURE, START).handed_over(START)

    failed = handed.failed(Failure(reason="NO_RELEASE_FOUND", message="Nothing to grab."), START)

    assert failed.failure is not None
    assert failed.failure.reason == "NO_RELEASE_FOUND"
    assert failed.failure.message == "SOULSEEK: Nothing came. Then LIDARR: Nothing to grab."


def test_a_fallback_is_not_followed_by_another_one() -> None:
    handed = acquisition(State.SEARCHING, fallback=Source.LIDARR).failed(FAILURE, START).handed_over(START)

    with pytest.raises(WrongState):
        handed.failed(FAILURE, START).handed_over(START)


def test_a_retry_begins_with_the_first_source_again() -> None:
    handed = acquisition(State.SEARCHING, fallback=Source.LIDARR).failed(FAILURE, START).handed_over(START)

    again = handed.cancelled(START).retried(START)

    assert (again.current, again.given_up) == (Source.SOULSEEK, None)


def test_every_active_state_can_fail_and_be_cancelled() -> None:
    active = set(State) - ENDED

    assert all({State.FAILED, State.CANCELLED} <= TRANSITIONS[state] for state in active)


def test_a_second_attempt_waits_for_the_end_of_the_first() -> None:
    running = acquisition(State.DOWNLOADING).tried(Source.SOULSEEK, "ada", START)

    with pytest.raises(WrongState):
        running.tried(Source.SOULSEEK, "bob", START)


def test_the_etag_is_the_version_in_quotes() -> None:
    assert acquisition().etag == '"1"'


class Walk(RuleBasedStateMachine):
    """Walks the states in any order, and looks after each step whether the acquisition still makes sense."""

    def __init__(self) -> None:
        super().__init__()
        self.acquisition = acquisition(fallback=Source.LIDARR)
        self.now = START

    def attempt(self, change: str, *arguments: object) -> None:
        before = self.acquisition
        self.now += timedelta(seconds=1)
        try:
            self.acquisition = getattr(before, change)(*arguments, self.now)
        except WrongState:
            return
        assert self.acquisition.state == before.state or self.acquisition.state in TRANSITIONS[before.state]

    @rule(state=st.sampled_from([state for state in State if state not in ENDED and state is not State.QUEUED]))
    def move(self, state: State) -> None:
        self.attempt("moved", state)

    @rule(peer=st.sampled_from(["ada", "bob", ""]))
    def try_peer(self, peer: str) -> None:
        self.attempt("tried", Source.SOULSEEK, peer)

    @rule()
    def fail_attempt(self) -> None:
        self.attempt("attempt_failed", FAILURE)

    @rule(received=st.integers(0, 9))
    def receive(self, received: int) -> None:
        if self.acquisition.attempt is not None:
            self.attempt("with_attempt", self.acquisition.attempt.reached(Progress(received_bytes=received)))

    @rule()
    def complete(self) -> None:
        self.attempt("completed", FILES)

    @rule()
    def fail(self) -> None:
        self.attempt("failed", FAILURE)

    @rule()
    def hand_over(self) -> None:
        """As the worker does: a failure that nobody has seen yet."""
        self.attempt("handed_over")

    @rule()
    def cancel(self) -> None:
        self.attempt("cancelled")

    @rule()
    def retry(self) -> None:
        self.attempt("retried")

    @invariant()
    def an_end_has_a_time(self) -> None:
        assert (self.acquisition.ended is not None) == (self.acquisition.state in ENDED)

    @invariant()
    def only_a_failed_one_says_why(self) -> None:
        assert (self.acquisition.failure is not None) == (self.acquisition.state is State.FAILED)

    @invariant()
    def only_a_completed_one_has_files(self) -> None:
        assert bool(self.acquisition.files) == (self.acquisition.state is State.COMPLETED)

    @invariant()
    def attempts_count_from_one(self) -> None:
        assert [attempt.number for attempt in self.acquisition.attempts] == list(
            range(1, len(self.acquisition.attempts) + 1)
        )

    @invariant()
    def only_the_last_attempt_of_an_active_one_runs(self) -> None:
        running = [attempt for attempt in self.acquisition.attempts if attempt.state is AttemptState.RUNNING]
        assert running in ([], [self.acquisition.attempts[-1]] if self.acquisition.attempts else [])
        assert self.acquisition.active or not running

    @invariant()
    def it_is_at_one_of_its_sources(self) -> None:
        assert self.acquisition.current is (Source.LIDARR if self.acquisition.given_up else Source.SOULSEEK)

    @invariant()
    def an_attempt_that_ended_has_a_time(self) -> None:
        assert all(attempt.running == (attempt.ended is None) for attempt in self.acquisition.attempts)


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_an_acquisition_cannot_be_changed_in_place() -> None:
    assert not hasattr(acquisition(), "__dict__")
    assert {field.name for field in fields(Acquisition)} >= {"state", "attempts", "files"}
