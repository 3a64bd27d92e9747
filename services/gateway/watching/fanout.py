"""One stream of a service for all who watch the same with the same credential.

Whoever comes gets what a stream of its own would tell: it reads a broadcast from its token on where that is still kept,
from the beginning where one has just begun, else one of its own. Two broadcasts that are still and stand at the same
token become one, since behind a token comes the same for all.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from services.gateway.watching.broadcast import Broadcast, ReaderTooSlow, Watch

_SETTLING = 0.05  # seconds from a message to the look whether broadcasts have become the same


class Reader:
    """A place in a broadcast, and whoever waits there."""

    __slots__ = ("_waiter", "at", "broadcast", "has_begun", "is_new", "is_silent", "token", "watch")

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.token = watch.token
        self.at = 0
        self.has_begun = False
        self.is_new = True  # whether it has taken nothing yet
        self.is_silent = False  # whether a sign of life is due
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_at_end(self) -> bool:
        """Whether there will be no more, and all of it was taken."""
        return self.broadcast.is_over and self.at == self.broadcast.end

    @property
    def has_news(self) -> bool:
        """Whether there is something to take, or the end has come."""
        return self.broadcast.is_over or self.at < self.broadcast.end

    def go(self, broadcast: Broadcast, at: int) -> None:
        """Read there from now on."""
        self.broadcast, self.at = broadcast, at
        broadcast.listeners.add(self)
        broadcast.passed(at)
        if self.has_begun:
            self.begin()

    def begin(self) -> None:
        """From now on a failure of the service is no status any more."""
        self.has_begun = self.broadcast.upstream.is_heard = True

    def take(self) -> bytes | None:
        """The next pieces; None while there are none. Raises ReaderTooSlow."""
        while not (pieces := self.broadcast.behind(self.at)):
            if self.broadcast.successor is None:
                return None
            self.broadcast.listeners.discard(self)
            self.go(*self.broadcast.successor)
        self.at += len(pieces)
        self.is_new = False
        self.token = pieces[-1].token
        self.broadcast.passed(self.at)
        return pieces[0].data if len(pieces) == 1 else b"".join([piece.data for piece in pieces])

    def wake(self) -> None:
        """There is something to do."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def beat(self) -> None:
        """A sign of life is due."""
        self.is_silent = True
        self.wake()

    async def wait(self) -> None:
        """Return when there is something to do."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None


class Fanout:
    """All broadcasts, by what is watched."""

    def __init__(self, drain: asyncio.Event, *, heartbeat: float, patience: float) -> None:
        self._drain = drain
        self._heartbeat = heartbeat
        self._patience = patience
        self._broadcasts: dict[tuple[object, ...], list[Broadcast]] = {}
        self._settling: set[tuple[object, ...]] = set()
        self._readers: set[Reader] = set()
        self._draining: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def reading(self, watch: Watch) -> AsyncIterator[Reader]:
        """A reader of what is watched; the call ends with the last of them."""
        reader = Reader(watch)
        self._readers.add(reader)
        if self._draining is None:
            self._draining = asyncio.create_task(self._wake_at_the_end())
        self._enter(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
            if not self._readers:
                self._draining.cancel()
                self._draining = None
            if (unheard := self._leave(reader)) is not None:
                await unheard.aclose()

    async def take(self, reader: Reader) -> bytes | None:
        """The next pieces; None while there are none. Raises ReaderTooSlow where no token leads on."""
        try:
            return reader.take()
        except ReaderTooSlow:
            if not (reader.token or reader.is_new):
                raise
        unheard = self._leave(reader)
        self._enter(reader)
        if unheard is not None:
            await unheard.aclose()
        return reader.take()

    def _enter(self, reader: Reader) -> None:
        opened = self._broadcasts.setdefault(reader.watch.key, [])
        for broadcast in opened:
            if (at := broadcast.place(reader.token)) is not None:
                reader.go(broadcast, at)
                return
        told = partial(self._settle_soon, reader.watch.key)
        broadcast = Broadcast(
            reader.watch, reader.token, patience=self._patience, heartbeat=self._heartbeat, on_told=told
        )
        opened.append(broadcast)
        reader.go(broadcast, 0)

    def _leave(self, reader: Reader) -> Broadcast | None:
        """Read no more where the reader is; the broadcast that nobody is left to hear, if so, which is to be closed."""
        broadcast = reader.broadcast
        broadcast.listeners.discard(reader)
        while broadcast.successor is not None:
            broadcast, _ = broadcast.successor
            broadcast.listeners.discard(reader)
        if broadcast.listeners:
            return None
        self._remove(reader.watch.key, broadcast)
        return broadcast

    def _remove(self, key: tuple[object, ...], broadcast: Broadcast) -> None:
        opened = self._broadcasts[key]
        opened.remove(broadcast)
        if not opened:
            del self._broadcasts[key]

    def _settle_soon(self, key: tuple[object, ...]) -> None:
        if len(self._broadcasts.get(key, ())) > 1 and key not in self._settling:
            self._settling.add(key)
            asyncio.get_running_loop().call_later(_SETTLING, self._settle, key)

    def _settle(self, key: tuple[object, ...]) -> None:
        """Make one of those that tell the same."""
        self._settling.discard(key)
        opened = self._broadcasts.get(key, [])
        by_token: dict[str, Broadcast] = {}
        for broadcast in [each for each in opened if each.is_still]:
            first = by_token.setdefault(broadcast.token, broadcast)
            if first is not broadcast:
                broadcast.become(first)
                opened.remove(broadcast)
        if any(each.is_moving for each in opened):
            self._settle_soon(key)

    async def _wake_at_the_end(self) -> None:
        await self._drain.wait()
        for reader in self._readers:
            reader.wake()
