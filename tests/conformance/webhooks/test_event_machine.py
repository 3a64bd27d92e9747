"""Random histories of events against a model: one effect each, in order, as the lifecycle draws it, nothing lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from services.webhooks.domain.catalogue import Query
from services.webhooks.domain.dead_letters import EventNotDead
from services.webhooks.domain.event import REPLAYABLE, DeadReason, Event, EventNotEnded, Progress, State
from services.webhooks.domain.lifecycle import Settlement
from services.webhooks.domain.processing import Claimed, Settled
from tests.conformance.webhooks.conftest import Inbox, inbox_in_memory, inbox_on
from tests.support.events import new_event
from tests.support.inbox_database import clear, empty_database

# No sum of the ticks is the length of a lease or of a delay, so that a few real milliseconds never matter.
TICKS = st.sampled_from([timedelta(minutes=40), timedelta(minutes=70)])
LEASE = timedelta(minutes=50)
DELAY = timedelta(minutes=60)
ORDER = {"a": "album 1", "b": "album 1", "c": None}
KEYS = st.sampled_from(sorted(ORDER))
BODIES = st.sampled_from([b"one", b"two"])
WHICH = st.integers(0, 30)
ENDS = st.sampled_from([State.DONE, State.DONE, State.IGNORED, State.DEAD, State.RETRY, State.RETRY, State.UNMATCHED])
FREE = (State.RECEIVED, State.RETRY, State.UNMATCHED)
ANEW = {(state, State.RECEIVED) for state in REPLAYABLE}
LEASED = {(state, State.PROCESSING) for state in FREE}
LEFT = {(State.PROCESSING, state) for state in State}
LATE = {(before, state) for before in FREE for state in State if state is not State.RECEIVED}  # nobody else claimed it
DRAWN = ANEW | LEASED | LEFT | LATE | {(State.DEAD, State.IGNORED)} | {(state, state) for state in State}


@dataclass
class Model:
    """What an event must look like."""

    id: str
    key: str
    body: bytes
    due: timedelta
    rival: str | None = None
    state: State = State.RECEIVED
    reason: DeadReason | None = None
    holder: object | None = None
    until: timedelta = timedelta()
    crashes: int = 0
    duplicates: int = 0
    effects: int = 0


class Lifecycle(RuleBasedStateMachine):
    """Three delivery ids, two of which belong to one album, each with two bodies."""

    fresh: Callable[[], Awaitable[Inbox]]
    run: Callable[[Awaitable[Any]], Any]

    def __init__(self) -> None:
        super().__init__()
        self.inbox: Inbox = self.run(self.fresh())
        self.store = self.inbox.store
        self.now = timedelta()
        self.rows: dict[str, Model] = {}
        self.claims: list[Claimed] = []
        self.seen: dict[str, State] = {}

    def running(self, row: Model) -> bool:
        return row.holder is not None and row.until >= self.now

    def shown(self, row: Model) -> State:
        return State.PROCESSING if self.running(row) else row.state

    def blocks(self, other: Model, row: Model) -> bool:
        if other is row or other.state.ended or ORDER[row.key] is None or ORDER[other.key] != ORDER[row.key]:
            return False
        parked = other.state is State.UNMATCHED and other.due > self.now
        return self.running(other) or (other.id < row.id and not parked)

    def claimable(self, row: Model) -> bool:
        free = not row.state.ended and row.due <= self.now and not self.running(row)
        return free and not any(self.blocks(other, row) for other in self.rows.values())

    def some(self, which: int) -> Model:
        return list(self.rows.values())[which % len(self.rows)]

    @rule(key=KEYS, body=BODIES)
    def deliver(self, key: str, body: bytes) -> None:
        new = new_event(key, body=body, order_key=ORDER[key])
        [receipt] = self.run(self.store.add([new]))
        same = [row for row in self.rows.values() if row.key == key]
        known = next((row for row in same if row.body == body), None)
        assert (receipt.event_id, receipt.duplicate) == ((known.id, True) if known else (new.id, False))
        if known:
            known.duplicates += 1
            return
        row = self.rows[new.id] = Model(new.id, key, body, self.now)
        if same:
            row.rival, row.state, row.reason = same[0].id, State.DEAD, DeadReason.KEY_CONFLICT

    @precondition(lambda self: any(self.claimable(row) for row in self.rows.values()))
    @rule(limit=st.sampled_from([1, 9]))
    def claim(self, limit: int) -> None:
        self.take(limit)

    @rule()
    def claim_perhaps_nothing(self) -> None:
        self.take(9)

    def take(self, limit: int) -> None:
        due = {row.id for row in self.rows.values() if self.claimable(row)}
        claims = self.run(self.store.claim(limit, LEASE))
        assert len(claims) == min(limit, len(due))
        for claim in claims:
            assert claim.event.id in due
            row = self.rows[claim.event.id]
            row.crashes += row.holder is not None
            row.holder, row.until = claim, self.now + LEASE
            assert (claim.crashes, claim.event.body) == (row.crashes, row.body)
        self.claims += claims

    @precondition(lambda self: self.claims)
    @rule(which=WHICH, state=ENDS)
    def settle_one(self, which: int, state: State) -> None:
        self.settle([self.claims.pop(which % len(self.claims))], state)

    @precondition(lambda self: len(self.claims) > 1)
    @rule(state=ENDS)
    def settle_all(self, state: State) -> None:
        last = {claim.event.id: claim for claim in self.claims}
        self.claims = [claim for claim in self.claims if last[claim.event.id] is not claim]
        self.settle(list(last.values()), state)

    def settle(self, claims: list[Claimed], state: State) -> None:
        held = [claim for claim in claims if self.rows[claim.event.id].holder is claim]
        kept = self.run(self.store.settle([_settled(claim, state) for claim in claims]))
        assert kept == {claim.event.id for claim in held}
        for claim in held:
            row = self.rows[claim.event.id]
            row.state, row.holder, row.due = state, None, self.now + (timedelta() if state.ended else DELAY)
            row.reason = DeadReason.HANDLER_ERROR if state is State.DEAD else None
            row.crashes = row.crashes if state.ended else 0
            row.effects += state is State.DONE

    @precondition(lambda self: self.claims)
    @rule(which=WHICH)
    def give_back(self, which: int) -> None:
        claim = self.claims.pop(which % len(self.claims))
        self.run(self.store.release([claim]))
        row = self.rows[claim.event.id]
        if row.holder is claim:
            row.holder, row.due = None, self.now

    @precondition(lambda self: self.rows)
    @rule(which=WHICH)
    def replay(self, which: int) -> None:
        row = self.some(which)
        if self.shown(row) not in REPLAYABLE:
            with pytest.raises(EventNotEnded):
                self.run(self.store.replay(row.id, actor="tester"))
            return
        self.run(self.store.replay(row.id, actor="tester"))
        row.state, row.reason, row.holder, row.due, row.crashes = State.RECEIVED, None, None, self.now, 0

    @precondition(lambda self: self.rows)
    @rule(which=WHICH)
    def discard(self, which: int) -> None:
        row = self.some(which)
        if row.state not in (State.DEAD, State.IGNORED):
            with pytest.raises(EventNotDead):
                self.run(self.inbox.discard(row.id))
            return
        self.run(self.inbox.discard(row.id))
        row.state, row.reason = State.IGNORED, None

    @rule()
    def rematch(self) -> None:
        waiting = [row for row in self.rows.values() if row.state is State.UNMATCHED and row.holder is None]
        later = [row for row in waiting if row.due > self.now]
        assert self.run(self.store.rematch()) == len(later)
        for row in later:
            row.due = self.now

    @precondition(lambda self: self.rows)
    @rule(by=TICKS)
    def tick(self, by: timedelta) -> None:
        self.run(self.inbox.pass_time(by))
        self.now += by

    @invariant()
    def every_event_is_as_the_model_says(self) -> None:
        events = {event.id: event for event in self.run(self.store.page(Query(page_size=1000))).events}
        assert {event_id: _facts(event) for event_id, event in events.items()} == {
            row.id: (self.shown(row), row.reason, row.rival, row.duplicates) for row in self.rows.values()
        }
        for event_id, event in events.items():
            assert (self.seen.get(event_id, event.state), event.state) in DRAWN
        self.seen = {event_id: event.state for event_id, event in events.items()}

    @invariant()
    def one_event_of_an_album_is_handled_at_a_time(self) -> None:
        albums = [ORDER[row.key] for row in self.rows.values() if self.running(row) and ORDER[row.key]]
        assert len(albums) == len(set(albums))

    def teardown(self) -> None:
        """Each event took effect as often as somebody who held it said so."""
        for row in self.rows.values():
            tries = self.run(self.store.attempts(row.id, page_size=1000, page_token="")).attempts
            assert sum(each.to_state is State.DONE for each in tries) == row.effects


def _settled(claim: Claimed, state: State) -> Settled:
    progress = Progress(tries=claim.event.progress.tries + 1)
    reason = DeadReason.HANDLER_ERROR if state is State.DEAD else None
    delay = None if state.ended else DELAY
    return Settled(
        claimed=claim, settlement=Settlement(state=state, progress=progress, delay=delay, reason=reason), seconds=0
    )


async def _done(work: Awaitable[Any]) -> Any:
    return await work


def _facts(event: Event) -> tuple[object, ...]:
    return event.state, event.reason, event.conflicting_event, event.duplicates


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def fresh(
    kind: str, request: pytest.FixtureRequest, inbox_schema: Path
) -> AsyncIterator[Callable[[], Awaitable[Inbox]]]:
    """Makes an inbox with nothing in it, again and again."""
    if kind == "memory":

        async def in_memory() -> Inbox:
            return inbox_in_memory()

        yield in_memory
        return
    async with empty_database(kind, inbox_schema, request) as database:
        inbox = await inbox_on(database)

        async def cleared() -> Inbox:
            await clear(database)
            return inbox

        yield cleared


async def test_any_history_agrees_with_the_model(kind: str, fresh: Callable[[], Awaitable[Inbox]]) -> None:
    loop = asyncio.get_running_loop()

    class Machine(Lifecycle):
        pass

    Machine.fresh = staticmethod(fresh)
    Machine.run = staticmethod(lambda work: asyncio.run_coroutine_threadsafe(_done(work), loop).result(60))

    await asyncio.to_thread(
        run_state_machine_as_test,
        Machine,
        settings=settings(
            max_examples=80 if kind == "memory" else 5,
            stateful_step_count=40 if kind == "memory" else 30,
            phases=[Phase.generate],
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
