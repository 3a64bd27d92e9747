"""The onboarding: where it stands after each thing that can happen to it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.config.domain.onboarding import (
    PASSED,
    Album,
    NothingToSkip,
    Onboarding,
    OnboardingState,
    Result,
    StepKind,
    StepRequired,
    StepState,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALBUM = Album(artist="Low", title="Hey What")

DONE = Result(state=StepState.DONE, message="works")
FAILED = Result(state=StepState.FAILED, message="does not", advice="mend it", reason="REFUSED")


def start(
    onboarding: Onboarding, *, album: Album | None = None, restart: bool = False, at: datetime = NOON
) -> Onboarding:
    return onboarding.started(album=album, restart=restart, request_id="r1", actor="ann", at=at)


def begun(*results: Result) -> Onboarding:
    """Started, and told these results."""
    onboarding = start(Onboarding(), album=ALBUM)
    for result in results:
        onboarding = onboarding.told(result, at=NOON)
    return onboarding


def test_it_begins_with_storage() -> None:
    onboarding = begun()

    assert onboarding.current is not None
    assert (onboarding.state, onboarding.current.kind) == (OnboardingState.RUNNING, StepKind.STORAGE)


def test_it_is_complete_when_every_step_is_behind_it() -> None:
    onboarding = begun(*[DONE] * 5)

    assert (onboarding.state, onboarding.progress, onboarding.ended_at) == (OnboardingState.COMPLETED, 100, NOON)


def test_a_failed_step_stops_it_and_keeps_its_progress() -> None:
    onboarding = begun(DONE, FAILED)

    assert (onboarding.state, onboarding.progress) == (OnboardingState.FAILED, 20)


def test_starting_again_goes_on_at_the_step_that_failed() -> None:
    onboarding = start(begun(DONE, FAILED))

    assert [step.state for step in onboarding.steps[:2]] == [StepState.DONE, StepState.PENDING]
    assert (onboarding.state, onboarding.album) == (OnboardingState.RUNNING, ALBUM)


def test_starting_one_that_runs_changes_nothing() -> None:
    onboarding = begun(DONE)

    assert start(onboarding, restart=True) == onboarding


def test_a_complete_one_begins_anew_only_when_told_to() -> None:
    complete = begun(*[DONE] * 5)

    assert start(complete) == complete
    assert start(complete, restart=True).progress == 0


def test_another_try_of_the_album_is_another_acquisition() -> None:
    waiting = Result(state=StepState.RUNNING, acquisition="acquisitions/acq-1")
    failed = begun(DONE, DONE, DONE, DONE, waiting, FAILED)

    again = failed.started(album=None, restart=False, request_id="r2", actor="ann", at=NOON)

    assert (failed.acquisition, again.acquisition, again.request_id) == ("acquisitions/acq-1", "", "r2")


def test_storage_cannot_be_left_out() -> None:
    with pytest.raises(StepRequired):
        begun(FAILED).skipped(actor="ann", at=NOON)


def test_nothing_is_left_out_of_what_nobody_began() -> None:
    with pytest.raises(NothingToSkip):
        Onboarding().skipped(actor="ann", at=NOON)


def test_nothing_is_left_out_of_what_is_complete() -> None:
    with pytest.raises(NothingToSkip, match="complete"):
        begun(*[DONE] * 5).skipped(actor="ann", at=NOON)


def test_trouble_began_with_the_first_look_that_found_it() -> None:
    troubled = Result(state=StepState.RUNNING, troubled=True)
    later = NOON + timedelta(minutes=1)

    again = begun(troubled).told(troubled, at=later)

    assert again.steps[0].troubled_since == NOON
    assert again.told(Result(state=StepState.RUNNING), at=later).steps[0].troubled_since is None


def test_leaving_a_failed_step_out_goes_on() -> None:
    onboarding = begun(DONE, FAILED).skipped(actor="ann", at=NOON)

    assert onboarding.current is not None
    assert (onboarding.state, onboarding.current.kind) == (OnboardingState.RUNNING, StepKind.PEERS)


def test_what_has_arrived_of_an_album_is_progress() -> None:
    half = Result(state=StepState.RUNNING, share=0.5)

    assert begun(DONE, DONE, DONE, DONE, half).progress == 90


RESULTS = st.builds(
    Result,
    state=st.sampled_from([StepState.RUNNING, StepState.DONE, StepState.SKIPPED, StepState.FAILED]),
    share=st.floats(0, 1),
)
EVENTS = st.lists(st.one_of(RESULTS, st.sampled_from(["begun", "start", "skip"])), max_size=30)


@given(EVENTS)
def test_whatever_happens_progress_never_falls_and_states_agree_with_steps(events: list[Result | str]) -> None:
    onboarding, at = start(Onboarding()), NOON
    for event in events:
        at += timedelta(seconds=1)
        before = onboarding
        onboarding = after(onboarding, event, at)

        assert onboarding.progress >= before.progress
        assert agrees(onboarding)


def after(onboarding: Onboarding, event: Result | str, at: datetime) -> Onboarding:
    """After what happened, if it can happen now."""
    if event == "start":
        return start(onboarding, at=at)
    if event == "skip":
        required = onboarding.current is None or onboarding.current.kind is StepKind.STORAGE
        return onboarding if required else onboarding.skipped(actor="ann", at=at)
    if onboarding.state is not OnboardingState.RUNNING:
        return onboarding
    return onboarding.begun(at=at) if isinstance(event, str) else onboarding.told(event, at=at)


def agrees(onboarding: Onboarding) -> bool:
    states = [step.state for step in onboarding.steps]
    if onboarding.state is OnboardingState.COMPLETED:
        return all(state in PASSED for state in states) and onboarding.progress == 100
    if onboarding.state is OnboardingState.FAILED:
        return StepState.FAILED in states and onboarding.ended_at is not None
    return StepState.FAILED not in states and onboarding.current is not None and onboarding.ended_at is None
