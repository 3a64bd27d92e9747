"""What is held, as this process saw it last, and everybody here who follows that."""

import asyncio
from collections.abc import Collection, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from libs.errors import AppError
from libs.leases.lease import Lease

MOST_HELD = 10_000  # that are followed; what is beyond, in the order of names, is only given out


class LeaseReader(Protocol):
    """Where leases are read."""

    async def held(self, limit: int) -> Sequence[Lease]:
        """Those that are held, in the order of their names."""
        ...

    async def find_many(self, names: Collection[str]) -> Sequence[Lease]:
        """Leases by name, as they stand."""
        ...


class Watcher:
    """One who follows: for each name it keeps the newest change that was not read yet, however slow the reader is."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.begun = False
        self._pending: dict[str, Lease] = {}
        self._stirred = asyncio.Event()
        self._fault: AppError | None = None

    def begin(self, held: Collection[Lease]) -> None:
        """These are held; from now on changes count."""
        self.begun = True
        for lease in held:
            self.tell(lease)

    def tell(self, lease: Lease) -> None:
        """Its holder changed."""
        if self.begun and lease.name.startswith(self.prefix):
            self._pending[lease.name] = lease
            self._stirred.set()

    def fail(self, fault: AppError) -> None:
        """No more is known."""
        self._fault = fault
        self._stirred.set()

    async def next(self) -> Lease:
        """The next change; raises what it failed with."""
        while not self._pending:
            if self._fault is not None:
                raise self._fault
            self._stirred.clear()
            await self._stirred.wait()
        return self._pending.pop(next(iter(self._pending)))


class LeaseBoard:
    """Compares what is held with what was held before."""

    def __init__(self, reader: LeaseReader) -> None:
        self._reader = reader
        self._held: dict[str, Lease] = {}
        self._noted: set[str] = set()
        self._watchers: set[Watcher] = set()

    @property
    def followed(self) -> bool:
        """Whether anybody follows."""
        return bool(self._watchers)

    @contextmanager
    def watching(self, prefix: str) -> Iterator[Watcher]:
        """One more who follows; the next look lets it begin."""
        watcher = Watcher(prefix)
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    async def look(self) -> Set[str]:
        """Reads what is held, tells what changed, and returns the names of what is held.

        A fault ends all who follow, for they might miss something. Raises Unavailable.
        """
        new = [watcher for watcher in self._watchers if not watcher.begun]
        self._noted.clear()
        try:
            held = await self._reader.held(MOST_HELD)
            gone = self._held.keys() - {lease.name for lease in held}
            left = {lease.name: lease for lease in await self._reader.find_many(gone)} if gone else {}
        except AppError as fault:
            for watcher in self._watchers:
                watcher.fail(fault)
            raise
        for lease in held:
            self._read(lease)
        for name in gone & self._held.keys():
            self._read(left.get(name) or _freed(self._held[name]))
        for watcher in new:
            watcher.begin(self._held.values())
        return self._held.keys()

    def note(self, lease: Lease) -> None:
        """This process took the lease or extended it: known at once, whatever a look that is under way has read."""
        self._noted.add(lease.name)
        known = self._held.get(lease.name)
        if known is None or known.fence <= lease.fence:
            self._see(lease)

    def released(self, lease: Lease) -> None:
        """This process gave the lease back, unless another had it already."""
        self._noted.add(lease.name)
        known = self._held.get(lease.name)
        if known is not None and _who(known) == _who(lease):
            self._see(_freed(known))

    def _read(self, lease: Lease) -> None:
        if lease.name not in self._noted:
            self._see(lease)

    def _see(self, lease: Lease) -> None:
        known = self._held.pop(lease.name, None)
        if lease.holder is not None:
            self._held[lease.name] = lease
        if _who(known) != _who(lease):
            for watcher in self._watchers:
                watcher.tell(lease)


def _who(lease: Lease | None) -> tuple[str, int] | None:
    return None if lease is None or lease.holder is None else (lease.holder, lease.fence)


def _freed(lease: Lease) -> Lease:
    return replace(lease, holder=None)
