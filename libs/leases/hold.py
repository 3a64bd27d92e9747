"""Holding a lease while a body runs: renewed in time, and the body stopped before anybody else may begin.

What the lease protects may be unable to check fences (a login on somebody else's server); then time does: the body is
cancelled when no renewal was confirmed within 0.9 of the TTL, on the monotonic clock, counted from before the request.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Protocol

from libs.clock import Clock
from libs.errors import AppError
from libs.leases.errors import LeaseHeld, LeaseLost
from libs.leases.lease import Lease, new_holder
from libs.telemetry.logger import get_logger

log = get_logger()

DEADLINE = 0.9  # of the TTL
LOOK_AGAIN = timedelta(seconds=0.5)  # whoever holds it may let go long before its time has passed


class LeaseStore(Protocol):
    """Where leases are."""

    async def acquire(self, name: str, holder: str, ttl: timedelta) -> Lease:
        """Takes a free lease; raises LeaseHeld."""
        ...

    async def renew(self, lease: Lease, ttl: timedelta) -> Lease:
        """Extends a lease; raises LeaseLost."""
        ...

    async def release(self, lease: Lease) -> None:
        """Frees a lease."""
        ...


@asynccontextmanager
async def hold(
    store: LeaseStore, name: str, *, ttl: timedelta, clock: Clock, wait: bool = False
) -> AsyncIterator[Lease]:
    """Holds a lease for the body, renewed every sixth of the TTL, released at the end.

    Raises LeaseHeld when another holds it, or with `wait` tries again until it is free. When the lease is lost,
    the body is cancelled and LeaseLost raised in its place.
    """
    lease, confirmed = await _acquired(store, name, ttl, clock, wait=wait)
    body = asyncio.current_task()
    assert body is not None
    cancellations = body.cancelling()
    keeping = asyncio.create_task(_Keeper(store, lease, ttl=ttl, clock=clock, confirmed=confirmed).until_lost())
    stopped = ended = False

    def stop(keeper: asyncio.Task[None]) -> None:
        nonlocal stopped
        if not ended and not keeper.cancelled():  # called a moment after the keeper's end: the body's may be in between
            stopped = True
            body.cancel()

    keeping.add_done_callback(stop)
    try:
        yield lease
    except asyncio.CancelledError:
        if stopped and body.uncancel() <= cancellations:
            raise LeaseLost(f"the lease {name} was lost") from None
        raise
    finally:
        ended = True
        await _let_go(store, lease, keeping)


async def _acquired(store: LeaseStore, name: str, ttl: timedelta, clock: Clock, *, wait: bool) -> tuple[Lease, float]:
    holder = new_holder()
    while True:
        asked = clock.monotonic()
        try:
            return await store.acquire(name, holder, ttl), asked
        except LeaseHeld as held:
            if not wait or held.retry_after is None:
                raise
            await asyncio.sleep(min(held.retry_after, ttl, LOOK_AGAIN).total_seconds())


async def _let_go(store: LeaseStore, lease: Lease, keeping: asyncio.Task[None]) -> None:
    if keeping.done():
        return
    keeping.cancel()
    await asyncio.wait([keeping])
    with suppress(AppError):  # it runs out by itself
        await store.release(lease)


class _Keeper:
    """Renews one lease. A request that hangs does not keep the deadline from being kept."""

    def __init__(self, store: LeaseStore, lease: Lease, *, ttl: timedelta, clock: Clock, confirmed: float) -> None:
        self._store = store
        self._lease = lease
        self._ttl = ttl
        self._clock = clock
        self._confirmed = confirmed
        self._due = confirmed + ttl.total_seconds() / 6
        self._lost = False

    async def until_lost(self) -> None:
        """Returns when the lease is lost, or must be taken for lost."""
        seconds = self._ttl.total_seconds()
        renewing: asyncio.Task[None] | None = None
        try:
            while not self._lost and self._clock.monotonic() < self._confirmed + DEADLINE * seconds:
                if self._clock.monotonic() >= self._due and (renewing is None or renewing.done()):
                    renewing = asyncio.create_task(self._renew())
                await asyncio.sleep(seconds / 60)
            log.warning("lease.lost", lease=self._lease.name, fence=self._lease.fence)
        finally:
            if renewing is not None:
                renewing.cancel()

    async def _renew(self) -> None:
        asked = self._clock.monotonic()
        self._due = asked + self._ttl.total_seconds() / 20  # if this fails
        try:
            await self._store.renew(self._lease, self._ttl)
        except LeaseLost:
            self._lost = True
        except AppError as error:
            log.warning("lease.not_renewed", lease=self._lease.name, reason=error.code_reason)
        else:
            self._confirmed = asked
            self._due = asked + self._ttl.total_seconds() / 6
