"""Holding a lease while a body runs, against stores that misbehave."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from libs.clock import Clock, ManualClock, SystemClock
from libs.errors import Unavailable
from libs.leases.errors import LeaseHeld, LeaseLost
from libs.leases.hold import hold
from libs.leases.lease import Lease

TTL = timedelta(milliseconds=600)


class Store:
    """A store that does as the test says: `renewal` is awaited in each renewal."""

    def __init__(self) -> None:
        self.refusals = 0
        self.renewals = 0
        self.released = 0
        self.fault: Exception | None = None
        self.hanging = False

    async def acquire(self, name: str, holder: str, ttl: timedelta) -> Lease:
        if self.refusals:
            self.refusals -= 1
            raise LeaseHeld("held", retry_after=timedelta(milliseconds=10))
        return Lease(name=name, holder=holder, fence=1, expires_at=datetime.now(UTC) + ttl)

    async def renew(self, lease: Lease, ttl: timedelta) -> Lease:
        if self.hanging:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        self.renewals += 1
        return lease

    async def release(self, lease: Lease) -> None:
        self.released += 1


class WatchedClock(ManualClock):
    """A clock that only moves when told, and knows how often it was looked at."""

    def __init__(self) -> None:
        super().__init__(datetime(2026, 1, 1, tzinfo=UTC))
        self._looks = 0

    def monotonic(self) -> float:
        self._looks += 1
        return super().monotonic()

    async def looked_at(self) -> None:
        """Returns when whoever keeps the lease has seen what the time is."""
        enough = self._looks + 10
        async with asyncio.timeout(10):
            while self._looks < enough:
                await asyncio.sleep(0.001)


async def held_for_ever(store: Store, clock: Clock) -> None:
    async with hold(store, "session", ttl=TTL, clock=clock):
        await asyncio.Event().wait()


async def test_the_lease_is_renewed_while_the_body_runs_and_released_after_it() -> None:
    store = Store()

    async with asyncio.timeout(10), hold(store, "session", ttl=TTL, clock=SystemClock()):
        while store.renewals < 3:
            await asyncio.sleep(0.01)

    assert store.released == 1


async def test_a_held_lease_is_refused() -> None:
    store = Store()
    store.refusals = 1

    with pytest.raises(LeaseHeld):
        async with hold(store, "session", ttl=TTL, clock=SystemClock()):
            pass


async def test_waiting_takes_the_lease_when_it_is_free() -> None:
    store = Store()
    store.refusals = 2

    async with asyncio.timeout(10), hold(store, "session", ttl=TTL, clock=SystemClock(), wait=True) as lease:
        assert lease.fence == 1


@pytest.mark.parametrize("fault", [Unavailable("away"), None], ids=["errors", "hangs"])
async def test_without_a_confirmed_renewal_the_body_stops_before_the_lease_ends(fault: Exception | None) -> None:
    store, clock = Store(), WatchedClock()
    store.fault, store.hanging = fault, fault is None
    holding = asyncio.create_task(held_for_ever(store, clock))
    await clock.looked_at()

    clock.advance(0.89 * TTL)
    await clock.looked_at()
    assert not holding.done()

    clock.advance(0.01 * TTL)
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(holding, 10)


async def test_a_lease_that_another_took_stops_the_body_at_once() -> None:
    store, clock = Store(), WatchedClock()
    store.fault = LeaseLost("lost")
    holding = asyncio.create_task(held_for_ever(store, clock))
    await clock.looked_at()

    clock.advance(TTL / 6)  # the next renewal is due, the lease is far from its end

    with pytest.raises(LeaseLost):
        await asyncio.wait_for(holding, 10)
    assert store.released == 0


async def test_a_body_that_ends_as_its_lease_does_is_not_cancelled_afterwards() -> None:
    class LateClock(ManualClock):
        """Calls the body when the deadline is seen: it goes on before anybody can cancel it."""

        late = asyncio.Event()

        def monotonic(self) -> float:
            if super().monotonic() > TTL.total_seconds():
                self.late.set()
            return super().monotonic()

    clock = LateClock(datetime(2026, 1, 1, tzinfo=UTC))
    async with hold(Store(), "session", ttl=TTL, clock=clock):
        clock.advance(2 * TTL)
        await clock.late.wait()

    await asyncio.sleep(0)


async def test_a_short_outage_is_survived() -> None:
    store, clock = Store(), WatchedClock()
    store.fault = Unavailable("away")

    async with asyncio.timeout(10), hold(store, "session", ttl=TTL, clock=clock):
        clock.advance(TTL / 2)
        await clock.looked_at()
        store.fault = None
        clock.advance(TTL / 3)
        while not store.renewals:
            await asyncio.sleep(0.01)
        clock.advance(TTL / 2)  # from the renewal on, the time begins anew
        await clock.looked_at()

    assert store.released == 1


async def test_a_cancellation_from_outside_stays_one() -> None:
    store = Store()
    inside = asyncio.Event()

    async def body() -> None:
        async with hold(store, "session", ttl=TTL, clock=SystemClock()):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(body())
    await inside.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.released == 1


async def test_an_error_of_the_body_comes_out_and_the_lease_is_released() -> None:
    store = Store()

    with pytest.raises(ValueError, match="mine"):
        async with hold(store, "session", ttl=TTL, clock=SystemClock()):
            raise ValueError("mine")

    assert store.released == 1
