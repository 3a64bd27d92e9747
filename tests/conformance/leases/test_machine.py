"""Random histories of leases against a model: fences grow, holds do not overlap, stale writes are refused."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from libs.leases.errors import LeaseHeld, LeaseLost
from libs.leases.lease import Lease
from libs.leases.store import SqlLeaseStore
from libs.sql.engine import Database
from tests.support.database_clock import DatabaseClock

T = TypeVar("T")
TTL = timedelta(seconds=30)
HOLDERS = st.sampled_from(["one", "two", "three"])


class Leases(RuleBasedStateMachine):
    """The model: who holds the lease until when, the newest fence, and the newest fence that was written."""

    store: SqlLeaseStore
    database: Database
    clock: DatabaseClock
    run: Callable[[Coroutine[Any, Any, Any]], Any]

    def __init__(self) -> None:
        super().__init__()
        self.holder: str | None = None
        self.until = self.clock.time
        self.fence: int = 0
        self.leases: dict[str, Lease] = {}
        self.name = f"lease-{id(self)}-{self.clock.time.timestamp()}"

    def live(self) -> bool:
        return self.holder is not None and self.until > self.clock.time

    @rule(holder=HOLDERS)
    def acquire(self, holder: str) -> None:
        free = not self.live() or self.holder == holder
        if not free:
            with pytest.raises(LeaseHeld):
                self.run(self.store.acquire(self.name, holder, TTL))
            return
        self.fence += 0 if self.live() else 1
        lease = self.run(self.store.acquire(self.name, holder, TTL))
        assert lease.fence == self.fence
        self.holder, self.until, self.leases[holder] = holder, self.clock.time + TTL, lease

    @rule(holder=HOLDERS)
    def renew(self, holder: str) -> None:
        lease = self.leases.get(holder)
        if lease is None:
            return
        if self.live() and self.holder == holder and lease.fence == self.fence:
            self.run(self.store.renew(lease, TTL))
            self.until = self.clock.time + TTL
            return
        with pytest.raises(LeaseLost):
            self.run(self.store.renew(lease, TTL))

    @rule(holder=HOLDERS)
    def release(self, holder: str) -> None:
        lease = self.leases.get(holder)
        if lease is None:
            return
        self.run(self.store.release(lease))
        if self.holder == holder and lease.fence == self.fence:
            self.holder = None

    @rule(holder=HOLDERS)
    def write(self, holder: str) -> None:
        lease = self.leases.get(holder)
        if lease is None:
            return
        if lease.fence == self.fence:
            self.run(self.guarded(lease))
            return
        with pytest.raises(LeaseLost):
            self.run(self.guarded(lease))

    @rule(seconds=st.integers(1, 40))
    def tick(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    @invariant()
    def the_store_agrees(self) -> None:
        found = self.run(self.store.find(self.name))
        assert (found.holder, found.fence) == (self.holder, self.fence) if found else self.fence == 0

    async def guarded(self, lease: Lease) -> None:
        async with self.database.writing() as connection:
            await self.store.guard(connection, lease)


async def test_any_history_agrees_with_the_model(
    lease_database: Database, store: SqlLeaseStore, clock: DatabaseClock
) -> None:
    loop = asyncio.get_running_loop()

    class Machine(Leases):
        pass

    Machine.store, Machine.database, Machine.clock = store, lease_database, clock
    Machine.run = staticmethod(lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(30))

    await asyncio.to_thread(
        run_state_machine_as_test,
        Machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
