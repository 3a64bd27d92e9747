"""The states of batches, walked in any order, and the clock of their patience."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.acquisition.domain.acquisition import State, WrongState
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Failure
from services.acquisition.domain.batch import (
    ALBUM_TRANSITIONS,
    ENDED,
    TRANSITIONS,
    AlbumState,
    Batch,
    BatchAlbum,
    BatchState,
    Sighting,
    Sightings,
)
from services.acquisition.domain.patience import LATE, Patience, Watch

START = datetime(2026, 11, 22, tzinfo=UTC)
FAILURE = Failure(reason="NO_CANDIDATES", message="Nobody has it.")
DELAY = timedelta(seconds=15)


def batch(*states: AlbumState, state: BatchState = BatchState.DOWNLOADING) -> Batch:
    albums = tuple(
        BatchAlbum(position=place, album=Album(artist="A", title=f"T{place}"), acquisition=f"acq-{place}", state=each)
        for place, each in enumerate(states, start=1)
    )
    return Batch(id="bat-1", owner="ann", created=START, updated=START, albums=albums, state=state)


def test_every_state_is_drawn() -> None:
    assert set(TRANSITIONS) == set(BatchState)
    assert set(ALBUM_TRANSITIONS) == set(AlbumState)


def test_an_ended_batch_goes_nowhere() -> None:
    assert {state for state, after in TRANSITIONS.items() if not after} == ENDED


@pytest.mark.parametrize("before", BatchState)
@pytest.mark.parametrize("after", BatchState)
def test_a_transition_that_is_not_drawn_is_refused_and_named(before: BatchState, after: BatchState) -> None:
    subject = batch(AlbumState.COMPLETED, state=before)
    if after in TRANSITIONS[before]:
        assert subject.moved(after, START).state is after
        return

    with pytest.raises(WrongState) as refused:
        subject.moved(after, START)

    assert refused.value.metadata == {"name": "batches/bat-1", "state": before}


def test_an_album_in_the_library_can_only_be_missing_there() -> None:
    assert ALBUM_TRANSITIONS[AlbumState.COMPLETED] == {AlbumState.FAILED}


def test_held_or_waiting_acquisitions_do_not_use_up_patience() -> None:
    queued, held = Sighting(state=State.QUEUED), Sighting(state=State.WAITING, held=True)
    waiting = Sighting(state=State.WAITING)

    assert Sightings(by_position={1: queued}, busy=True).stands
    assert Sightings(by_position={1: held}).stands
    assert not Sightings(by_position={1: held, 2: waiting}, busy=True).stands
    assert not Sightings(by_position={1: queued}).stands


@given(st.lists(st.integers(min_value=-7200, max_value=7200), max_size=30))
def test_only_time_in_which_somebody_looked_as_promised_is_idle(gaps: list[int]) -> None:
    watch, at = Watch().looked("same", START).until(DELAY), START
    for gap in gaps:
        at += timedelta(seconds=gap)
        watch = Watch.from_json(watch.looked("same", at).until(DELAY).to_json())

    most = DELAY + LATE
    assert watch.idle == sum((min(max(timedelta(seconds=gap), timedelta()), most) for gap in gaps), timedelta())


def test_whatever_moves_begins_the_time_anew() -> None:
    watch = Watch().looked("a", START).until(DELAY).looked("a", START + DELAY)

    assert watch.idle == DELAY
    assert watch.looked("b", START + 2 * DELAY).idle == timedelta()


def sighting(state: State | None) -> Sighting:
    return Sighting(state=state, moved=str(state), failure=FAILURE if state is State.FAILED else None)


class Walk(RuleBasedStateMachine):
    """Does anything to a batch in any order, and looks after each step whether it still makes sense."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.batch = batch(*[AlbumState.ACTIVE] * 3)

    def attempt(self, after: Batch) -> None:
        for old, new in zip(self.batch.albums, after.albums, strict=False):
            assert new.state is old.state or new.state in ALBUM_TRANSITIONS[old.state]
        assert after.state is self.batch.state or after.state in TRANSITIONS[self.batch.state]
        self.batch = after

    def sightings(self, states: dict[int, State | None]) -> Sightings:
        return Sightings(by_position={place: sighting(state) for place, state in states.items()})

    @rule(states=st.dictionaries(st.integers(1, 4), st.sampled_from([*State, None])), stopping=st.booleans())
    def look(self, states: dict[int, State | None], stopping: bool) -> None:
        if self.batch.state is BatchState.DOWNLOADING:
            self.now += timedelta(hours=1)
            sightings = self.sightings(states)
            ids = [album.acquisition for album in self.batch.albums if album.acquisition] if stopping else []
            seen = self.batch.seen(sightings, self.now, stopping=ids).watched_until(timedelta(hours=1))
            self.attempt(seen.without_the_stuck(sightings, Patience()).settled(self.now))

    @rule(missing=st.sets(st.integers(1, 4)))
    def scan(self, missing: set[int]) -> None:
        if self.batch.state is BatchState.SCANNING:
            known = {album.position for album in self.batch.albums if album.state is AlbumState.COMPLETED}
            self.attempt(self.batch.scanned(dict.fromkeys(missing & known, FAILURE), self.now))

    @rule(title=st.sampled_from(["T1", "T4", "T5"]))
    def add(self, title: str) -> None:
        if self.batch.state is BatchState.DOWNLOADING:
            self.attempt(self.batch.with_albums([Album(artist="A", title=title)]))

    @rule(fails=st.booleans())
    def stop(self, fails: bool) -> None:
        if self.batch.active:
            self.attempt(self.batch.failed(FAILURE, self.now) if fails else self.batch.cancelled(self.now))

    @invariant()
    def an_ended_batch_has_no_active_album(self) -> None:
        assert self.batch.active or not any(album.active for album in self.batch.albums)
        assert self.batch.active == (self.batch.ended is None)

    @invariant()
    def a_failed_one_says_why(self) -> None:
        assert (self.batch.state is BatchState.FAILED) == (self.batch.failure is not None)
        assert all(one.failure for one in self.batch.albums if one.state is AlbumState.FAILED)

    @invariant()
    def a_completed_one_has_something_in_the_library(self) -> None:
        if self.batch.state in (BatchState.COMPLETED, BatchState.SCANNING):
            assert self.batch.counts.completed > 0

    @invariant()
    def keys_and_places_are_distinct(self) -> None:
        places = [album.position for album in self.batch.albums]
        assert places == list(range(1, len(places) + 1))
        assert len({album.album.key() for album in self.batch.albums}) == len(places)


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)


def test_a_batch_that_is_being_cancelled_takes_no_more_albums() -> None:
    with pytest.raises(WrongState):
        replace(batch(AlbumState.ACTIVE), cancelling=True).with_albums([])
