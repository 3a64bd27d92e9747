"""How long to wait for what: the peer's queue, its next byte, and slskd itself."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from services.acquisition.domain.peer_faults import QueueTimeout, TransferStalled, TransferTooSlow
from services.acquisition.slskd.transfer import Transfer

SLOW_SECONDS = 300.0
SLOW_BYTES = 300 * 5 * 1024  # in that time, or the next candidate is worth trying


class Limits(Protocol):
    """What the settings say of the network of peers, whoever holds the session."""

    @property
    def search(self) -> timedelta:
        """How long to collect answers."""
        ...

    @property
    def idle(self) -> timedelta:
        """How long to wait for a next byte."""
        ...

    @property
    def queue(self) -> timedelta:
        """How long to wait in a peer's queue."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Paces:
    """How often to look, and how long to wait for slskd: to mean a failure, to ask again after a restart, and so on.

    The first looks come sooner than every `poll`: small files are there at once.
    """

    first: timedelta = timedelta(seconds=0.25)
    poll: timedelta = timedelta(seconds=2)
    failing: timedelta = timedelta(seconds=90)
    resuming: timedelta = timedelta(seconds=60)
    landing: timedelta = timedelta(seconds=60)
    ending: timedelta = timedelta(seconds=60)
    tending: timedelta = timedelta(seconds=60)


class Looks:
    """The pauses between looks at one thing: from `first` on twice as long each time, up to `poll`."""

    def __init__(self, paces: Paces) -> None:
        self._longest = paces.poll.total_seconds()
        self._next = min(paces.first.total_seconds(), self._longest)

    async def pause(self) -> None:
        """Wait until the next look is due."""
        await asyncio.sleep(self._next)
        self._next = min(2 * self._next, self._longest)


class Clocks:
    """The clocks of one file of one peer; each runs only while it is that which is waited for."""

    def __init__(self, peer: str, file: str, limits: Limits) -> None:
        self._peer = peer
        self._file = file
        self._idle_limit = limits.idle.total_seconds()
        self._queue_limit = limits.queue.total_seconds()
        self._received = self._slow_from = 0
        self._idle = self._queued = self._slow = 0.0
        self.failing = 0.0

    def count(self, transfer: Transfer, seconds: float, *, is_served: bool) -> None:
        """Let the clock of the state run; `is_served` while the peer sends us another file: most send one at a time."""
        self.failing = self.failing + seconds if transfer.is_over else 0.0
        if transfer.is_sending:
            self._idle += seconds
            self._slow += seconds
        elif not (transfer.is_over or is_served):
            self._queued += seconds
        if transfer.received > self._received:
            self._received, self._idle = transfer.received, 0.0
        if self._received - self._slow_from >= SLOW_BYTES:
            self._slow, self._slow_from = 0.0, self._received

    def raise_if_over(self) -> None:
        """Raises QueueTimeout, TransferStalled and TransferTooSlow."""
        if self._idle > self._idle_limit:
            raise TransferStalled(self._peer, self._file, f"no new byte for {self._idle_limit:g} s")
        if self._slow > SLOW_SECONDS:
            raise TransferTooSlow(self._peer, self._file, SLOW_BYTES / SLOW_SECONDS / 1024)
        if self._queued > self._queue_limit:
            raise QueueTimeout(self._peer, self._file, self._queue_limit)
