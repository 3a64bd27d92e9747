"""Holding a lease while a body runs, against stores that misbehave."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from libs.clock import SystemClock
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
        self.confirmed = time.monotonic()
        self.fault: Exception | None = None
        self.hanging = False

    async def acquire(self, name: str, holder: str, ttl: timedelta) -> Lease:
        if self.refusals:
            self.refusals -= 1
            raise LeaseHeld("held", retry_after=timedelta(milliseconds=10))
        self.confirmed = time.monotonic()
        return Lease(name=name, holder=holder, fence=1, expires_at=datetime.now(UTC) + ttl)

    async def renew(self, lease: Lease, ttl: timedelta) -> Lease:
        if self.hanging:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        self.renewals += 1
        self.confirmed = time.monotonic()
        return lease

    async def release(self, lease: Lease) -> None:
        self.released += 1


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
    store = Store()
    store.fault, store.hanging = fault, fault is None

    ttl = timedelta(seconds=1.5)  # so that a busy machine is no reason

    with pytest.raises(LeaseLost):
        async with hold(store, "session", ttl=ttl, clock=SystemClock()):
            await asyncio.Event().wait()

    assert 0.9 * 1.5 <= time.monotonic() - store.confirmed < 1.5


async def test_a_lease_that_another_took_stops_the_body_at_once() -> None:
    store = Store()
    store.fault = LeaseLost("lost")

    with pytest.raises(LeaseLost):
        async with hold(store, "session", ttl=TTL, clock=SystemClock()):
            await asyncio.Event().wait()

    assert time.monotonic() - store.confirmed < 0.5 * 0.6
    assert store.released == 0


async def test_a_short_outage_is_survived() -> None:
    store = Store()
    store.fault = Unavailable("away")

    async with asyncio.timeout(10), hold(store, "session", ttl=TTL, clock=SystemClock()):
        while time.monotonic() - store.confirmed < 0.3:
            await asyncio.sleep(0.01)
        store.fault = None
        while store.renewals < 3:
            await asyncio.sleep(0.01)

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
