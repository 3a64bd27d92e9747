"""Random histories of jobs against a model: who may run what, what is refused, and that nothing is slept through."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete

from libs.sql.engine import Database
from libs.work.errors import ClaimLost
from libs.work.job import Claim, Done, Next, Outcome, Retry
from libs.work.store import SqlWorkStore
from libs.work.tables import WorkTables
from tests.support.database_clock import DatabaseClock
from tests.support.jobs import TTL, Jobs

TICK = timedelta(milliseconds=1)
WAIT = timedelta(minutes=10)
JOBS = st.sampled_from(["a", "b", "c"])
OWNERS = st.sampled_from(["one", "two"])
EVENTS = st.sampled_from(["v", "w", "x", "y", "z"])
WHICH = st.integers(0, 30)
OTHER = {"albums": "lidarr", "lidarr": "albums"}
QUEUES = st.sampled_from(sorted(OTHER))


@dataclass
class Model:
    """What a row must look like."""

    due: datetime
    key: str
    version: int = 1
    done: bool = False
    fence: int = 0
    owner: str | None = None
    until: datetime | None = None
    attempt: int = 0
    crashes: int = 0
    signals: int = 0
    cancel: bool = False
    paused: bool = False
    priority: int = 5
    queue: str = "albums"
    events: set[str] = field(default_factory=set)

    @property
    def turn(self) -> tuple[int, datetime]:
        """Sorts before that of a job that has to wait longer."""
        return -self.priority, self.due


class Work(RuleBasedStateMachine):
    """The model of three jobs, two of which share a dedup key, of two queues and two owners."""

    store: SqlWorkStore
    jobs: Jobs
    clock: DatabaseClock
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    clear: Callable[[], None]

    def __init__(self) -> None:
        super().__init__()
        self.clear()
        self.rows: dict[str, Model] = {}
        self.claims: list[Claim] = []
        self.off: set[str] = set()
        self.refused = False

    def holds(self, claim: Claim) -> bool:
        row = self.rows[claim.id]
        return (row.owner, row.fence) == (claim.owner, claim.fence)

    def some_due(self) -> bool:
        return any(self.claimable(row) for row in self.rows.values())

    def open(self) -> list[str]:
        return [job for job, row in self.rows.items() if not row.done]

    def claimable(self, row: Model) -> bool:
        free = row.until is None or row.until < self.clock.time
        return not row.done and row.due <= self.clock.time and free and (row.cancel or not self.paused(row))

    def waiting_in_line(self) -> list[str]:
        line = [job for job, row in self.rows.items() if row.queue == "albums" and self.claimable(row)]
        return sorted(line, key=lambda job: self.rows[job].turn)

    def paused(self, row: Model) -> bool:
        return row.paused or not self.off.isdisjoint({"*", row.queue})

    @initialize()
    def begin(self) -> None:
        self.make("a")
        self.make("c")

    @precondition(lambda self: "b" not in self.rows and (self.rows["a"].done or not self.refused))
    @rule()
    def create(self) -> None:
        self.refused = not self.rows["a"].done
        self.make("b")

    def make(self, job: str) -> None:
        key = "c" if job == "c" else "ab"
        active = [other for other, row in self.rows.items() if row.key == key and not row.done]
        assert self.run(self.jobs.create(job, dedup_key=key)) == (active or [job])[0]
        if not active:
            self.rows[job] = Model(due=self.clock.time, key=key)

    @precondition(lambda self: self.some_due())
    @rule(owner=OWNERS, queue=QUEUES)
    def claim_one(self, owner: str, queue: str) -> None:
        self.claim(owner, 1, queue)

    @rule(owner=OWNERS, queue=QUEUES)
    def claim_many(self, owner: str, queue: str) -> None:
        self.claim(owner, 3, queue)

    @precondition(lambda self: self.claims)
    @rule(owner=OWNERS, queue=QUEUES)
    def take_over(self, owner: str, queue: str) -> None:
        self.clock.advance(TTL + TICK)
        self.claim(owner, 3, queue)

    def claim(self, owner: str, limit: int, queue: str) -> None:
        due = {job for job, row in self.rows.items() if row.queue == queue and self.claimable(row)}
        turns = sorted(self.rows[job].turn for job in due)
        claims = self.run(self.store.claim(queue, owner, limit, TTL))
        assert sorted(self.rows[claim.id].turn for claim in claims) == turns[:limit]
        for claim in claims:
            assert claim.id in due
            row = self.rows[claim.id]
            row.crashes += row.owner is not None
            row.fence, row.owner, row.until = row.fence + 1, owner, self.clock.time + TTL
            assert (claim.fence, claim.crashes) == (row.fence, row.crashes)
            assert (claim.signal_seq, claim.cancel_requested, claim.queue) == (row.signals, row.cancel, row.queue)
        self.claims += claims

    @precondition(lambda self: self.claims)
    @rule(owner=OWNERS)
    def beat(self, owner: str) -> None:
        held = self.run(self.store.heartbeat(owner, TTL))
        mine = {job: row for job, row in self.rows.items() if row.owner == owner}
        told = {(found.id, found.fence, found.cancel_requested, found.paused) for found in held}
        assert told == {(job, row.fence, row.cancel, self.paused(row)) for job, row in mine.items()}
        for row in mine.values():
            row.until = self.clock.time + TTL

    @precondition(lambda self: self.claims)
    @rule(which=WHICH)
    def end_waiting(self, which: int) -> None:
        self.end(which, "wait")

    @precondition(lambda self: self.claims)
    @rule(which=WHICH, how=st.sampled_from(["next", "over", "retry"]))
    def end_going_on(self, which: int, how: str) -> None:
        self.end(which, how)

    @precondition(lambda self: self.claims)
    @rule(which=WHICH)
    def end_done(self, which: int) -> None:
        self.end(which, "done")

    def end(self, which: int, how: str) -> None:
        claim = self.claims.pop(which % len(self.claims))
        outcome: dict[str, Outcome] = {
            "next": Next(state="NEXT"),
            "over": Next(state="QUEUED", queue=OTHER[claim.queue], kind=OTHER[claim.queue]),
            "wait": Next(state="WAITING", delay=WAIT),
            "retry": Retry(error="no", after=WAIT),
            "done": Done(state="DONE"),
        }
        if not self.holds(claim):
            with pytest.raises(ClaimLost):
                self.run(self.commit(claim, outcome[how]))
            return
        self.run(self.commit(claim, outcome[how]))
        row = self.rows[claim.id]
        news = row.signals > claim.signal_seq or (row.cancel and not claim.cancel_requested)
        late = how in ("wait", "retry") and not news
        row.due = self.clock.time + (WAIT if late else timedelta())
        row.owner = row.until = None
        row.done = how == "done"
        row.paused = row.paused and not row.done
        row.queue = OTHER[row.queue] if how == "over" else row.queue
        row.version += 1
        row.attempt = {"retry": claim.attempt + 1, "done": claim.attempt}.get(how, 0)
        row.crashes = claim.crashes if how in ("retry", "done") else 0

    @precondition(lambda self: self.claims)
    @rule(which=WHICH)
    def release(self, which: int) -> None:
        claim = self.claims.pop(which % len(self.claims))
        held = self.holds(claim)
        assert self.run(self.store.release(claim)) is held
        if held:
            row = self.rows[claim.id]
            row.owner = row.until = None
            row.due = self.clock.time

    @precondition(lambda self: self.claims)
    @rule(event=EVENTS)
    def signal_while_it_runs(self, event: str) -> None:
        self.tell(self.claims[0].id, event)
        self.end(0, "wait")

    @precondition(lambda self: self.open())
    @rule(job=JOBS, event=EVENTS)
    def signal(self, job: str, event: str) -> None:
        self.tell(job, event)

    def tell(self, job: str, event: str) -> None:
        row = self.rows.get(job)
        new = row is not None and not row.done and event not in row.events
        assert self.run(self.jobs.signal(event, job)) is new
        if row is not None and new:
            row.events.add(event)
            row.signals += 1
            row.due = self.clock.time

    @precondition(lambda self: not all(self.rows[job].cancel for job in self.open()))
    @rule(job=JOBS)
    def cancel(self, job: str) -> None:
        row = self.rows.get(job)
        if row is None:
            return
        new = not row.done and not row.cancel
        assert self.run(self.jobs.cancel(job)) is new
        if new:
            row.cancel, row.due, row.version = True, self.clock.time, row.version + 1

    @rule(switch=st.sampled_from(["*", *OTHER]))
    def turn_switch(self, switch: str) -> None:
        self.off ^= {switch}
        self.run(self.store.pause(switch, switch in self.off))

    @precondition(lambda self: self.open())
    @rule(job=JOBS, paused=st.booleans())
    def pause(self, job: str, paused: bool) -> None:
        row = self.rows.get(job)
        if row is None:
            return
        new = not row.done and row.paused is not paused
        assert self.run(self.jobs.pause(job, paused)) is new
        if new:
            row.paused, row.version = paused, row.version + 1

    @precondition(lambda self: self.open())
    @rule(job=JOBS, priority=st.sampled_from([1, 5, 10]))
    def prefer(self, job: str, priority: int) -> None:
        row = self.rows.get(job)
        if row is None:
            return
        new = not row.done and row.priority != priority
        assert self.run(self.jobs.prefer(job, priority)) is new
        if new:
            row.priority, row.version = priority, row.version + 1

    @rule(seconds=st.sampled_from([1, 15, 30, 31, 600]))
    def tick(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds) + TICK)

    @precondition(lambda self: len(self.waiting_in_line()) > 1)
    @rule(owner=OWNERS)
    def overtake(self, owner: str) -> None:
        last = self.waiting_in_line()[-1]
        self.prefer(last, 10)
        self.claim(owner, 1, "albums")

    @precondition(lambda self: self.claims)
    @rule(which=WHICH)
    def pause_while_it_runs(self, which: int) -> None:
        claim = self.claims[which % len(self.claims)]
        self.pause(claim.id, True)
        self.beat(claim.owner)

    @precondition(lambda self: self.claims)
    @rule(which=WHICH, how=st.sampled_from(["wait", "done"]))
    def end_what_is_paused(self, which: int, how: str) -> None:
        self.pause(self.claims[which % len(self.claims)].id, True)
        self.end(which, how)

    @invariant()
    def every_row_is_as_the_model_says(self) -> None:
        rows = self.run(self.jobs.rows())
        for job, model in self.rows.items():
            row = rows[job]
            assert (row["done"], row["due"], row["version"]) == (model.done, model.due, model.version)
            assert (row["fence"], row["lease_owner"], row["lease_until"]) == (model.fence, model.owner, model.until)
            assert (row["attempt"], row["crashes"], row["signal_seq"]) == (model.attempt, model.crashes, model.signals)
            assert (row["queue"], row["priority"], row["paused"]) == (model.queue, model.priority, model.paused)

    async def commit(self, claim: Claim, outcome: Outcome) -> None:
        async with self.store.commit(claim, outcome):
            pass


async def test_any_history_agrees_with_the_model(
    work_database: Database, tables: WorkTables, store: SqlWorkStore, jobs: Jobs, clock: DatabaseClock, dialect: str
) -> None:
    loop = asyncio.get_running_loop()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    async def clear() -> None:
        async with work_database.writing() as connection:
            for table in (tables.work, tables.event, tables.queue):
                await connection.execute(delete(table))

    class Machine(Work):
        pass

    Machine.store, Machine.jobs, Machine.clock = store, jobs, clock
    Machine.run = staticmethod(run)
    Machine.clear = staticmethod(lambda: run(clear()))

    await asyncio.to_thread(
        run_state_machine_as_test,
        Machine,
        settings=settings(
            max_examples=25 if dialect == "sqlite" else 8,
            stateful_step_count=40,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
