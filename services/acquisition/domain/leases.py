"""The use cases of leases: take, wait for, keep, give back, read and follow them.

          acquire                      acquire, again by its holder: the same fence
 free ───────────────► held ──┐◄──────────────────────────────────────────────────┐
  ▲   fence + 1         │  ▲  └── renew: as long as it has not expired ────────────┘
  │                     │  └────── acquire by another, once it has expired: fence + 1
  └── release, or time ─┘

Who waits for a lease stands in a line of this process: the first of it alone asks the database, when the lease is
given back here, when one look at all held leases (shared by all who wait or follow) does not find it, or when its time
is over. Processes do not know of each other's lines: between them, who asks first gets it.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence, Set
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from libs.clock import Clock
from libs.errors import AppError, NotFound, PermissionDenied
from libs.leases.errors import LeaseHeld
from libs.leases.lease import Lease
from services.acquisition.domain.lease_board import LeaseBoard
from services.acquisition.domain.lease_lines import LeaseLines

DEFAULT_TTL = timedelta(seconds=30)
SOULSEEK = "soulseek/"
SOULSEEK_TTL = timedelta(minutes=6)  # of a connection: its server forgets one that went away in about that time
RESERVED = (SOULSEEK, "lockgroove/", "acquisition-", "webhooks-")

LOOK_SECONDS = 0.5  # between looks at what is held, while somebody waits or follows
IDLE_SECONDS = 15.0  # while nobody does: for the metrics


class LeaseReserved(PermissionDenied):
    """Leases with this name are for the suite's own services."""

    reason = "LEASE_RESERVED"


class LeaseNotFound(NotFound):
    """Nobody has ever held a lease of this name."""

    reason = "LEASE_NOT_FOUND"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseQuery:
    """Which leases to list."""

    held: bool = False
    page_size: int = 0
    page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasePage:
    """A page of leases; `next_token` is empty on the last."""

    leases: Sequence[Lease]
    next_token: str


class LeaseBook(Protocol):
    """Where leases are written down; each method is one transaction, and counts with the database's clock."""

    async def acquire(self, name: str, holder: str, ttl: timedelta) -> Lease:
        """Takes a free lease; raises LeaseHeld."""
        ...

    async def renew(self, lease: Lease, ttl: timedelta) -> Lease:
        """Extends a lease; raises LeaseLost."""
        ...

    async def release(self, lease: Lease) -> None:
        """Frees a lease; one that was lost is left to its new holder."""
        ...

    async def find(self, name: str) -> Lease | None:
        """The lease as it stands; None when it was never held."""
        ...

    async def find_many(self, names: Collection[str]) -> Sequence[Lease]:
        """As `find`, for many; those that were never held are left out."""
        ...

    async def held(self, limit: int) -> Sequence[Lease]:
        """Those that are held, in the order of their names."""
        ...

    async def page(self, query: LeaseQuery) -> LeasePage:
        """A page of leases; raises InvalidArgument."""
        ...


class LeaseLog(Protocol):
    """What is counted."""

    def operation(self, name: str) -> AbstractContextManager[None]:
        """Around an `acquire`, `renew` or `release`: counts how it ended."""
        ...

    def waited(self, seconds: float) -> None:
        """Somebody waited so long for a lease, whether he got it or not."""
        ...

    def held(self, names: Collection[str]) -> None:
        """These are held now."""
        ...


class Leases:
    """Gives out leases. `run` is the loop that looks at what other processes do; without it they are noticed late.

    Its `acquire`, `renew` and `release` are what `libs.leases.hold` needs. Every method raises Unavailable when the
    database is away: that is never the same as a lease that is held.
    """

    def __init__(self, book: LeaseBook, *, log: LeaseLog, clock: Clock, look_seconds: float = LOOK_SECONDS) -> None:
        self._book = book
        self._log = log
        self._clock = clock
        self._look_seconds = look_seconds
        self._board = LeaseBoard(book)
        self._lines = LeaseLines()
        self._wanted = asyncio.Event()

    @property
    def waited_for(self) -> Set[str]:
        """The names for which somebody waits here."""
        return self._lines.names

    async def acquire(
        self, name: str, holder: str, ttl: timedelta | None = None, *, wait: timedelta = timedelta()
    ) -> Lease:
        """Takes a lease that is free, waiting as long as `wait` for one that is not; raises LeaseHeld.

        A cancelled call gives nothing back: its holder may be asking again already, under the same fence.
        """
        ttl = ttl or default_ttl(name)
        with self._log.operation("acquire"):
            if wait <= timedelta():
                return await self._take(name, holder, ttl)
            begun = self._clock.monotonic()
            try:
                return await self._wait(name, holder, ttl, until=begun + wait.total_seconds())
            finally:
                self._log.waited(self._clock.monotonic() - begun)

    async def renew(self, lease: Lease, ttl: timedelta | None = None) -> Lease:
        """Extends a lease, by another time than before if need be; raises LeaseLost.

        Who asks for a shorter time must count with it from the moment of asking, whether an answer arrives or not.
        """
        with self._log.operation("renew"):
            renewed = await self._book.renew(lease, ttl or default_ttl(lease.name))
        self._board.note(renewed)
        return renewed

    async def release(self, lease: Lease) -> None:
        """Frees a lease at once; one that was lost is left to its new holder."""
        with self._log.operation("release"):
            await self._book.release(lease)
        self._board.released(lease)
        self._lines.call(lease.name)

    async def find(self, name: str) -> Lease | None:
        """The lease, held or free; None when it was never held."""
        return await self._book.find(name)

    async def get(self, name: str) -> Lease:
        """The lease, held or free; raises LeaseNotFound."""
        found = await self.find(name)
        if found is None:
            raise LeaseNotFound(f"nobody has ever held the lease {name}", metadata={"lease": name})
        return found

    async def list(self, query: LeaseQuery) -> LeasePage:
        """A page of leases; raises InvalidArgument."""
        return await self._book.page(query)

    async def watch(self, prefix: str = "") -> AsyncIterator[Lease]:
        """The leases that are held, then each one whenever its holder changes.

        Changes that follow each other fast, or that the reader is too slow for, may arrive as one; the last one always
        arrives. Raises Unavailable while the database is away: then begin anew.
        """
        with self._board.watching(prefix) as watcher:
            self._wanted.set()
            while True:
                yield await watcher.next()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            with suppress(AppError):  # told to all whom it concerns
                await self.run_once()
            needed = self._board.followed or self.waited_for
            await _within(self._wanted, self._look_seconds if needed else IDLE_SECONDS)
            self._wanted.clear()
            await asyncio.sleep(self._look_seconds / 10)  # however many come, one look is for all of them

    async def run_once(self) -> None:
        """One look at what is held; raises Unavailable."""
        try:
            held = await self._board.look()
        except AppError:
            self._call(self.waited_for)  # to hear of it themselves
            raise
        self._log.held(held)
        self._call(self.waited_for - held)

    async def _wait(self, name: str, holder: str, ttl: timedelta, *, until: float) -> Lease:
        if name not in self.waited_for or await self._has(holder, name):
            with suppress(LeaseHeld):
                return await self._take(name, holder, ttl)
        with self._lines.standing(name) as place:
            self._wanted.set()
            while (left := until - self._clock.monotonic()) > 0:
                place.called.clear()
                if place.is_first:
                    try:
                        return await self._take(name, holder, ttl)
                    except LeaseHeld as held:
                        left = min(left, held.retry_after.total_seconds() if held.retry_after else left)
                await _within(place.called, left)
            return await self._take(name, holder, ttl)

    async def _take(self, name: str, holder: str, ttl: timedelta) -> Lease:
        lease = await self._book.acquire(name, holder, ttl)
        self._board.note(lease)
        return lease

    async def _has(self, holder: str, name: str) -> bool:
        found = await self._book.find(name)
        return found is not None and found.holder == holder

    def _call(self, names: Collection[str]) -> None:
        for name in names:
            self._lines.call(name)


def default_ttl(name: str) -> timedelta:
    """For how long a lease is given when nobody says."""
    return SOULSEEK_TTL if name.startswith(SOULSEEK) else DEFAULT_TTL


def check_may_take(name: str, *, internal: bool) -> None:
    """Raises LeaseReserved for a name of the suite's own, unless one of its services asks."""
    if name.startswith(RESERVED) and not internal:
        raise LeaseReserved(
            f"the lease {name} is for the suite's own services: choose a name that does not begin with "
            + ", ".join(RESERVED),
            metadata={"lease": name},
        )


async def _within(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
