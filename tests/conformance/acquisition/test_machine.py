"""Random histories of acquisitions over the real store and the real worker: what must hold after each step of them."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
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

from libs import ids
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.telemetry.metrics import Metrics
from libs.work.context import Context
from libs.work.errors import ClaimLost, QueuePaused
from libs.work.job import Claim
from libs.work.store import SqlWorkStore
from services.acquisition import tables
from services.acquisition.domain.acquisition import ENDED, TRANSITIONS, Acquisition, State, WrongState
from services.acquisition.domain.acquisitions import Acquisitions, AlbumActive, Rules
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Failure, Source
from services.acquisition.domain.bell import Bell
from services.acquisition.domain.step import Job, Move, ProgressReport
from services.acquisition.domain.wish import Scope, Wish
from services.acquisition.metrics import AcquisitionMetrics
from services.acquisition.store import SqlAcquisitionStore
from services.acquisition.upkeep.removal import EndedJobs
from services.acquisition.worker import AcquisitionWork
from services.acquisition.workers import TTL
from tests.support.database_clock import DatabaseClock

FAILURE = Failure(reason="NO_CANDIDATES", message="Nobody has it.")
DISK = Failure(reason="DISK_FULL", message="The disk is full.")
ON_THE_WAY = (State.SEARCHING, State.DOWNLOADING, State.VERIFYING, State.IMPORTING)
DAYS = 30
WHICH = st.integers(0, 20)
USERS = st.sampled_from(["ann", "bob"])
TITLES = st.sampled_from(["Lorem", "Ipsum"])
QUEUES = st.sampled_from(["soulseek", "lidarr"])
HOW = st.sampled_from(["on", "try", "on", "try", "other", "wait", "fail", "disk", "complete"])


class SameClock:
    """The process's clock shows what the database's shows."""

    def __init__(self, clock: DatabaseClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.time

    def monotonic(self) -> float:
        return self._clock.time.timestamp()


class Scripted:
    """Implements `domain.step.Steps`: does what the history says, as far as the state allows it."""

    def __init__(self, clock: DatabaseClock) -> None:
        self.how = "on"
        self._clock = clock

    async def advance(self, job: Job, report: ProgressReport) -> Move:
        return Move(acquisition=self._moved(job.acquisition), delay=timedelta(hours=self.how == "wait"))

    async def clean_up(self, acquisition: Acquisition) -> None:
        """Nothing is staged."""

    def _moved(self, one: Acquisition) -> Acquisition:
        now = self._clock.time
        if self.how in ("fail", "disk"):
            return one.failed(FAILURE if self.how == "fail" else DISK, now)
        if self.how == "complete" and State.COMPLETED in TRANSITIONS[one.state]:
            return one.completed((), now)
        if self.how == "wait":
            return one.moved(State.WAITING, now)
        if self.how == "other" and one.attempt is not None:
            return one.attempt_failed(FAILURE, now)
        moved = one.moved(next(state for state in ON_THE_WAY if state in TRANSITIONS[one.state]), now)
        return moved.tried(one.current, "ada", now) if self.how == "try" and moved.attempt is None else moved


@dataclass
class World:
    """The service below the API, on a clock that only moves when told."""

    database: Database
    clock: DatabaseClock
    jobs: SqlWorkStore
    store: SqlAcquisitionStore
    script: Scripted
    work: AcquisitionWork
    acquisitions: Acquisitions
    retention: EndedJobs
    rules: Rules

    async def all(self) -> Mapping[str, Acquisition]:
        return {one.id: one for one in await self.store.page_by_id("", after="", limit=100)}

    async def end(self, claim: Claim) -> None:
        """As the worker does: one step, then its guarded commit."""
        context = Context(self.jobs, claim)
        step = self.work.cancelled if claim.cancel_requested else self.work.step
        outcome = await step(claim, context)
        async with self.jobs.commit(claim, outcome, read_through=context.read_through):
            pass

    async def forgotten(self) -> int:
        """How many the clean-up removes now."""
        return sum([count async for count in self.retention.remove(self.clock.time)])

    async def clear(self) -> None:
        async with self.database.writing() as connection:
            for table in (tables.engine.work, tables.engine.event, tables.engine.queue):
                await connection.execute(delete(table))


class History(RuleBasedStateMachine):
    """Two users ask for two albums, and everything happens to them."""

    world: World
    run: Callable[[Coroutine[Any, Any, Any]], Any]

    def __init__(self) -> None:
        super().__init__()
        self.run(self.world.clear())
        self.claims: list[Claim] = []
        self.before: Mapping[str, Acquisition] = {}
        self.retried: set[str] = set()
        self.removed: set[str] = set()

    @initialize(scope=st.sampled_from(Scope))
    def begin(self, scope: Scope) -> None:
        self.world.rules = Rules(music_path="/music", scope=scope)
        self.ask("ann", "Lorem", Source.LIDARR)
        self.looks_right()

    def key(self, one: Acquisition) -> tuple[str, str]:
        return (one.album.title, one.owner if self.world.rules.scope is Scope.REQUESTER else "")

    def some(self, which: int, *, ended: bool) -> Acquisition | None:
        fitting = [one for one in self.before.values() if (one.state in ENDED) is ended]
        return fitting[which % len(fitting)] if fitting else None

    @rule(user=USERS, title=TITLES, fallback=st.sampled_from([None, Source.LIDARR, Source.LIDARR]))
    def ask(self, user: str, title: str, fallback: Source | None) -> None:
        album = Album(artist="The Placeholders", title=title)
        wish = Wish(album=album, source=Source.SOULSEEK, fallback=fallback, actor=user)
        given = self.run(self.world.acquisitions.create(wish))
        wanted = (title, user if self.world.rules.scope is Scope.REQUESTER else "")
        active = [one.id for one in self.before.values() if one.active and self.key(one) == wanted]
        assert given.id == active[0] if active else given.id not in self.before

    @rule(queue=QUEUES)
    def claim(self, queue: str) -> None:
        for claim in self.run(self.world.jobs.claim(queue, "me", 3, TTL)):
            assert claim.cancel_requested or not self.before[claim.id].paused
            assert claim.queue == self.before[claim.id].current.lower()
            self.claims.append(claim)

    @precondition(lambda self: self.claims)
    @rule(which=WHICH, how=HOW)
    def step(self, which: int, how: str) -> None:
        claim = self.claims.pop(which % len(self.claims))
        if (row := self.before.get(claim.id)) is None or row.state in ENDED:
            return
        self.world.script.how = how
        try:
            self.run(self.world.end(claim))
        except ClaimLost:
            assert self.run(self.world.all())[claim.id] == row
        except QueuePaused:
            assert row.paused
            self.run(self.world.jobs.release(claim))

    @precondition(lambda self: any(one.active for one in self.before.values()))
    @rule(queue=QUEUES, hows=st.lists(HOW, min_size=3, max_size=8))
    def work(self, queue: str, hows: list[str]) -> None:
        for how in hows:
            known = len(self.claims)
            self.claim(queue)
            while len(self.claims) > known:
                self.step(known, how)
                self.looks_right()

    @precondition(lambda self: any(one.active for one in self.before.values()))
    @rule(how=st.sampled_from(["fail", "complete"]))
    def end_all(self, how: str) -> None:
        self.work("soulseek", ["on", how])
        self.work("lidarr", ["on", how])

    @precondition(lambda self: self.claims)
    @rule(how=HOW)
    def take_over(self, how: str) -> None:
        """Leases run out without a word; whoever held them comes back late."""
        stale, self.claims = self.claims, []
        self.world.clock.advance(TTL + timedelta(seconds=1))
        self.work("soulseek", ["on"])
        self.work("lidarr", ["on"])
        self.claims = stale
        while self.claims:
            self.step(0, how)

    @precondition(lambda self: any(one.active for one in self.before.values()))
    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        if one := self.some(which, ended=False):
            self.run(self.world.acquisitions.cancel(one.id, etag="", actor="me"))

    @precondition(lambda self: any(one.ended for one in self.before.values()))
    @rule(which=WHICH)
    def retry(self, which: int) -> None:
        if (one := self.some(which, ended=True)) is None:
            return
        active = [each for each in self.before.values() if each.active and self.key(each) == self.key(one)]
        if one.state is State.COMPLETED or active:
            with pytest.raises(WrongState if one.state is State.COMPLETED else AlbumActive):
                self.run(self.world.acquisitions.retry(one.id, etag="", actor="me"))
            return
        again = self.run(self.world.acquisitions.retry(one.id, etag=one.etag, actor="me"))
        assert (again.state, again.current, again.attempts) == (State.QUEUED, one.source, one.attempts)
        self.retried.add(one.id)

    @precondition(lambda self: any(one.active for one in self.before.values()))
    @rule(which=WHICH, paused=st.booleans())
    def pause(self, which: int, paused: bool) -> None:
        if one := self.some(which, ended=False):
            held = self.run(self.world.acquisitions.set_paused(one.id, paused, etag=one.etag, actor="me"))
            assert (held.paused, held.state) == (paused, one.state)

    @precondition(lambda self: any(one.ended for one in self.before.values()))
    @rule(hours=st.sampled_from([0, 1, 24 * (DAYS + 1)]))
    def forget(self, hours: int) -> None:
        self.world.clock.advance(timedelta(hours=hours))
        limit = self.world.clock.time - timedelta(days=DAYS)
        old = {one.id for one in self.before.values() if one.ended is not None and one.ended < limit}
        assert self.run(self.world.forgotten()) == len(old)
        self.removed |= old

    @invariant()
    def looks_right(self) -> None:
        now = self.run(self.world.all())
        assert set(self.before) - set(now) <= self.removed
        active = [self.key(one) for one in now.values() if one.active]
        assert len(active) == len(set(active))
        for one in now.values():
            self.compare(self.before.get(one.id), one)
        self.before, self.retried = now, set()

    def compare(self, old: Acquisition | None, new: Acquisition) -> None:
        assert [attempt.number for attempt in new.attempts] == list(range(1, len(new.attempts) + 1))
        assert (new.ended is None) is new.active
        assert new.given_up is None or new.fallback is not None
        if old is None:
            assert (new.state, new.attempts, new.version) == (State.QUEUED, (), 1)
            return
        assert new.state is old.state or new.state in TRANSITIONS[old.state]
        assert new.version >= old.version
        kept = [attempt for attempt in old.attempts if not attempt.running]
        assert list(new.attempts[: len(kept)]) == kept
        if old.state in ENDED and new.id not in self.retried:
            assert new == replace(old, due=new.due)
        if new.current is not old.current and new.id not in self.retried:
            assert (new.state, new.current) == (State.QUEUED, new.fallback)
            assert old.source in {attempt.source for attempt in new.attempts}


@pytest.fixture
async def world(database: Database) -> World:
    clock = DatabaseClock()
    jobs = SqlWorkStore(database, tables.engine, now=clock.now)
    store = SqlAcquisitionStore(database, jobs, tokens=PageTokens(b"key"))
    script, same = Scripted(clock), SameClock(clock)
    steps = dict.fromkeys((Source.SOULSEEK, Source.LIDARR), script)
    work = AcquisitionWork(store, steps, metrics=AcquisitionMetrics(Metrics(), same), clock=same)
    made: World

    async def calmly() -> None:
        """Nothing runs here."""

    acquisitions = Acquisitions(
        store, rules=lambda: made.rules, bell=Bell(), hurry=calmly, clock=same, new_id=ids.new, cancel_wait=0
    )
    made = World(
        database=database,
        clock=clock,
        jobs=jobs,
        store=store,
        script=script,
        work=work,
        acquisitions=acquisitions,
        retention=EndedJobs(database, tables.acquisition, kind="acquisitions", days=lambda: DAYS, children=frozenset()),
        rules=Rules(music_path="/music"),
    )
    return made


async def test_any_history_of_acquisitions_keeps_its_promises(world: World, dialect: str) -> None:
    loop = asyncio.get_running_loop()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    class Machine(History):
        pass

    Machine.world, Machine.run = world, staticmethod(run)

    await asyncio.to_thread(
        run_state_machine_as_test,
        Machine,
        settings=settings(
            max_examples=12 if dialect == "sqlite" else 4,
            stateful_step_count=25,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],  # to shrink a history takes longer than a test may
            suppress_health_check=list(HealthCheck),
        ),
    )
