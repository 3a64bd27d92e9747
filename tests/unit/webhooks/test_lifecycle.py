"""The lifecycle: what follows from a verdict, walked step by step and at random."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.webhooks.domain.event import DeadReason, Progress, State
from services.webhooks.domain.lifecycle import (
    MAX_FAILURES,
    OUTAGE_CAP,
    RETRY_CAP,
    UNMATCHED_CAP,
    UNMATCHED_FIRST,
    UNMATCHED_WINDOW,
    Settlement,
    settle,
)
from services.webhooks.domain.verdict import Failed, Hopeless, NobodyWaits, NothingToDo, Outage, TookEffect, Verdict
from tests.support.lidarr_webhooks import NOON

FRESH = Progress()


def settled(
    verdict: Verdict, before: Progress = FRESH, *, after: timedelta = timedelta(), chance: float = 0.5
) -> Settlement:
    return settle(before, verdict, now=NOON + after, chance=lambda: chance)


def test_an_effect_ends_as_done_with_its_acquisitions() -> None:
    result = settled(TookEffect(acquisitions=("acquisitions/acq-1",)), Progress(failures=1, error="before"))

    assert (result.state, result.delay) == (State.DONE, None)
    assert (result.progress.acquisitions, result.progress.error) == (("acquisitions/acq-1",), "")


def test_nothing_to_do_is_ignored() -> None:
    assert settled(NothingToDo()).state is State.IGNORED


def test_an_effect_may_be_a_surprise() -> None:
    result = settled(TookEffect(note="kept for readers"))

    assert (result.state, result.progress.error) == (State.DONE, "kept for readers")


@pytest.mark.parametrize("reason", [DeadReason.UNREADABLE, DeadReason.REJECTED, DeadReason.CRASH_LOOP])
def test_what_cannot_work_is_dead_at_once_with_the_reason(reason: DeadReason) -> None:
    result = settled(Hopeless(error="the body is not JSON", reason=reason))

    assert (result.state, result.reason, result.progress.error) == (State.DEAD, reason, "the body is not JSON")


def test_the_third_failure_is_the_last() -> None:
    first = settled(Failed(error="no"))
    second = settled(Failed(error="no"), first.progress)
    third = settled(Failed(error="no"), second.progress)

    assert [first.state, second.state, third.state] == [State.RETRY, State.RETRY, State.DEAD]
    assert [first.reason, second.reason, third.reason] == [None, None, DeadReason.HANDLER_ERROR]


def test_the_delay_after_a_failure_has_full_jitter() -> None:
    shortest, longest = settled(Failed(error="no"), chance=0.0).delay, settled(Failed(error="no"), chance=1.0).delay

    assert shortest == timedelta()
    assert longest == timedelta(seconds=4)


@pytest.mark.parametrize(("asked", "heard"), [(1, 2), (3, 3), (8, 8), (9, 8), (9000, 8)])
def test_who_failed_is_heard_between_the_delay_and_twice_the_longest(asked: int, heard: int) -> None:
    result = settled(Failed(error="no", retry_after=timedelta(seconds=asked)), chance=0.5)

    assert result.delay == timedelta(seconds=heard)


def test_an_outage_spends_no_failure() -> None:
    result = settled(Outage(error="away"), Progress(tries=500, failures=2))

    assert (result.state, result.progress.failures, result.progress.tries) == (State.RETRY, 2, 501)


def test_an_outage_waits_as_long_as_it_is_told_within_reason() -> None:
    assert settled(Outage(error="", retry_after=timedelta(seconds=9)), chance=0).delay == timedelta(seconds=9)
    assert settled(Outage(error="", retry_after=timedelta(days=30)), chance=0).delay == OUTAGE_CAP


def test_an_unmatched_event_is_looked_at_again_soon() -> None:
    result = settled(NobodyWaits())

    assert (result.state, result.delay) == (State.UNMATCHED, UNMATCHED_FIRST)
    assert result.progress.unmatched_since == NOON


def test_an_unmatched_event_is_looked_at_less_and_less() -> None:
    before = Progress(unmatched_since=NOON)

    assert settled(NobodyWaits(), before, after=timedelta(minutes=3)).delay == timedelta(minutes=3)
    assert settled(NobodyWaits(), before, after=timedelta(hours=3)).delay == UNMATCHED_CAP


def test_an_event_that_nobody_waited_for_in_a_day_is_ignored() -> None:
    result = settled(NobodyWaits(), Progress(unmatched_since=NOON), after=UNMATCHED_WINDOW)

    assert result.state is State.IGNORED
    assert result.progress.error == "no acquisition of ours waited for it within 24 hours"


def test_an_endless_error_is_cut() -> None:
    assert len(settled(Failed(error="x" * 100_000)).progress.error) == 1000


@pytest.mark.parametrize("state", State)
def test_exactly_the_final_states_have_ended(state: State) -> None:
    assert state.ended == (state in {State.DONE, State.DEAD, State.IGNORED})


VERDICTS = st.one_of(
    st.just(TookEffect(acquisitions=("acquisitions/acq-1",))),
    st.just(NobodyWaits()),
    st.builds(NothingToDo, note=st.text("ab", max_size=3)),
    st.builds(Hopeless, error=st.text("ab", max_size=3), reason=st.sampled_from(DeadReason)),
    st.builds(
        Failed, error=st.text("ab", max_size=3), retry_after=st.none() | st.timedeltas(timedelta(), timedelta(days=9))
    ),
    st.builds(
        Outage, error=st.text("ab", max_size=3), retry_after=st.none() | st.timedeltas(timedelta(), timedelta(days=9))
    ),
)


class Lifecycle(RuleBasedStateMachine):
    """Walks one event through any verdicts, however late each comes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.state = State.RECEIVED
        self.progress = FRESH
        self.delay: timedelta | None = timedelta()
        self.failed = 0
        self.reason: DeadReason | None = None

    @precondition(lambda self: not self.state.ended)
    @rule(verdict=VERDICTS, late=st.timedeltas(timedelta(), timedelta(hours=30)), chance=st.floats(0, 1))
    def try_once(self, verdict: Verdict, late: timedelta, chance: float) -> None:
        assert self.delay is not None
        self.now += self.delay + late
        before = self.progress
        result = settle(before, verdict, now=self.now, chance=lambda: chance)
        self.state, self.progress, self.delay, self.reason = result.state, result.progress, result.delay, result.reason
        self.failed += isinstance(verdict, Failed)
        assert self.progress.tries == before.tries + 1

    @precondition(lambda self: self.state.ended)
    @rule()
    def replay(self) -> None:
        self.state, self.progress, self.delay, self.failed = State.RECEIVED, replace(FRESH), timedelta(), 0
        self.reason = None

    @invariant()
    def only_a_final_state_has_no_next_try(self) -> None:
        assert (self.delay is None) == self.state.ended
        assert self.state is not State.PROCESSING

    @invariant()
    def exactly_the_dead_say_why(self) -> None:
        assert (self.reason is not None) == (self.state is State.DEAD)

    @invariant()
    def no_delay_is_longer_than_its_cap(self) -> None:
        assert self.delay is None or timedelta() <= self.delay <= max(RETRY_CAP, OUTAGE_CAP, UNMATCHED_CAP)

    @invariant()
    def failures_alone_spend_the_budget(self) -> None:
        assert self.progress.failures == self.failed <= MAX_FAILURES
        assert self.failed < MAX_FAILURES or self.state is State.DEAD

    @invariant()
    def only_done_has_acquisitions(self) -> None:
        assert bool(self.progress.acquisitions) == (self.state is State.DONE)


TestLifecycle = Lifecycle.TestCase
