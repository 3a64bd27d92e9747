"""Random histories of leases against a model: fences grow, holds do not overlap, stale writes are refused, and those
who wait are served in turn. The host's clock steps about all the while, and nothing follows from it."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from libs.leases.errors import LeaseHeld, LeaseLost
from libs.leases.lease import Lease
from libs.sql.engine import Database
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.leases import Leases
from services.acquisition.leases.metrics import LeaseMetrics
from tests.conformance.leases.conftest import WatchedBook
from tests.support.database_clock import DatabaseClock

HOLDERS = st.sampled_from(["one", "two", "three"])
TTLS = st.sampled_from([timedelta(seconds=10), timedelta(seconds=30), timedelta(minutes=6)])
FOREVER = timedelta(days=1)


class SteppingClock:
    """A host whose time of day jumps; its monotonic clock stands still, so that no wait runs out."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return 0.0


class Machine(RuleBasedStateMachine):
    """The model: who holds the lease until when, the newest fence, and who waits, in turn."""

    leases: Leases
    book: WatchedBook
    database: Database
    clock: DatabaseClock
    host: SteppingClock
    start: Callable[[Coroutine[Any, Any, Any]], "Future[Any]"]

    def __init__(self) -> None:
        super().__init__()
        self.holder: str | None = None
        self.until = self.clock.time
        self.fence = 0
        self.known: dict[str, Lease] = {}
        self.waiters: list[tuple[str, timedelta, Future[Lease]]] = []
        self.name = f"lease-{id(self)}-{self.clock.time.timestamp()}"

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.start(work).result(30)

    def live(self) -> bool:
        return self.holder is not None and self.until > self.clock.time

    def taken(self, holder: str, ttl: timedelta, lease: Lease) -> None:
        self.fence += 0 if self.live() else 1
        assert (lease.holder, lease.fence, lease.remaining) == (holder, self.fence, ttl)
        self.holder, self.until, self.known[holder] = holder, self.clock.time + ttl, lease

    def settle(self) -> None:
        """Whoever waits longest has the lease when it is free."""
        if self.waiters and not self.live():
            self.run(self.leases.run_once())
            holder, ttl, waiting = self.waiters.pop(0)
            self.taken(holder, ttl, waiting.result(30))

    @rule(holder=HOLDERS, ttl=TTLS)
    def acquire(self, holder: str, ttl: timedelta) -> None:
        if self.live() and self.holder != holder:
            with pytest.raises(LeaseHeld):
                self.run(self.leases.acquire(self.name, holder, ttl))
            return
        self.taken(holder, ttl, self.run(self.leases.acquire(self.name, holder, ttl)))

    @precondition(lambda self: self.live() and len(self.waiters) < 3)
    @rule(ttl=TTLS)
    def wait(self, ttl: timedelta) -> None:
        holder = f"waiter-{len(self.waiters)}-{self.fence}"
        waiting = self.start(self.leases.acquire(self.name, holder, ttl, wait=FOREVER))
        self.run(self.leases.run_once())
        self.waiters.append((holder, ttl, waiting))

    @precondition(lambda self: self.waiters)
    @rule()
    def give_up(self) -> None:
        _, _, waiting = self.waiters.pop(0)
        waiting.cancel()
        self.run(self.leases.run_once())

    @rule(holder=HOLDERS, ttl=TTLS)
    def renew(self, holder: str, ttl: timedelta) -> None:
        lease = self.known.get(holder)
        if lease is None:
            return
        if self.live() and self.holder == holder and lease.fence == self.fence:
            self.run(self.leases.renew(lease, ttl))
            self.until = self.clock.time + ttl
            return
        with pytest.raises(LeaseLost):
            self.run(self.leases.renew(lease, ttl))

    @rule(holder=HOLDERS)
    def release(self, holder: str) -> None:
        lease = self.known.get(holder)
        if lease is None:
            return
        self.run(self.leases.release(lease))
        if self.holder == holder and lease.fence == self.fence:
            self.holder = None
        self.settle()

    @rule(holder=HOLDERS, off=st.sampled_from([-1, 1]))
    def release_by_another(self, holder: str, off: int) -> None:
        lease = self.known.get(holder)
        if lease is not None:
            self.run(self.leases.release(replace(lease, fence=self.fence + off)))
            self.run(self.leases.release(replace(lease, holder="nobody", fence=self.fence)))

    @rule(holder=HOLDERS)
    def write(self, holder: str) -> None:
        lease = self.known.get(holder)
        if lease is None:
            return
        if lease.fence == self.fence:
            self.run(self.guarded(lease))
            return
        with pytest.raises(LeaseLost):
            self.run(self.guarded(lease))

    @rule(seconds=st.integers(1, 400))
    def tick(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        self.settle()

    @rule(hours=st.integers(-1000, 1000))
    def step_the_hosts_clock(self, hours: int) -> None:
        self.host.time += timedelta(hours=hours)

    @precondition(lambda self: self.fence)
    @rule()
    def restore_a_backup(self) -> None:
        self.run(self.book.revoke(by=1000))
        self.holder = None
        self.fence += 1000
        self.settle()

    @invariant()
    def the_database_agrees(self) -> None:
        found = self.run(self.book.find(self.name))
        holder = self.holder if self.live() else None
        assert (found.holder, found.fence) == (holder, self.fence) if found else self.fence == 0
        assert not any(waiting.done() for _, _, waiting in self.waiters)

    def teardown(self) -> None:
        for _, _, waiting in self.waiters:
            waiting.cancel()

    async def guarded(self, lease: Lease) -> None:
        async with self.database.writing() as connection:
            await self.book.guard(connection, lease)


async def test_any_history_agrees_with_the_model(
    lease_database: Database, book: WatchedBook, clock: DatabaseClock
) -> None:
    loop, host = asyncio.get_running_loop(), SteppingClock()

    class OnThisDatabase(Machine):
        pass

    OnThisDatabase.leases = Leases(book, log=LeaseMetrics(Metrics()), clock=host)
    OnThisDatabase.book, OnThisDatabase.database = book, lease_database
    OnThisDatabase.clock, OnThisDatabase.host = clock, host
    OnThisDatabase.start = staticmethod(lambda work: asyncio.run_coroutine_threadsafe(work, loop))

    await asyncio.to_thread(
        run_state_machine_as_test,
        OnThisDatabase,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
