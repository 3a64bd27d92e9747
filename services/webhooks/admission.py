"""Admission: events that arrive at the same time share a commit, and whoever handles or follows them learns of it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

from libs.batching import Batcher
from libs.errors import AppError, Unavailable
from services.webhooks.domain.event import NewEvent, Receipt

MAX_COMMIT = 256
MAX_WAITING = 4096
MAX_WAITING_BYTES = 64 * 1024 * 1024  # of bodies

_RETRY_AFTER = timedelta(seconds=1)


class NoRoom(Unavailable):
    """More waits to be stored than fits into memory."""

    reason = "TOO_MANY_WAITING"


class EventSink(Protocol):
    """Where events are stored."""

    async def add(self, events: Sequence[NewEvent]) -> Sequence[Receipt]:
        """Store events in one commit, in order; raises AppError when none was stored."""
        ...


class Admission:
    """Takes events in while there is room for them."""

    def __init__(self, batcher: Batcher[NewEvent, Receipt], *, max_bytes: int = MAX_WAITING_BYTES) -> None:
        self._batcher = batcher
        self._max_bytes = max_bytes
        self._bytes = 0

    async def submit(self, item: NewEvent) -> Receipt:
        """Store one event, in a commit shared with others; returns after it.

        Raises NoRoom, TooManyWaiting, and what the store raises.
        """
        size = len(item.body)
        if self._bytes and self._bytes + size > self._max_bytes:
            raise NoRoom(f"{self._bytes} bytes of webhooks wait to be stored", retry_after=_RETRY_AFTER)
        self._bytes += size
        try:
            return await self._batcher.submit(item)
        finally:
            self._bytes -= size


@asynccontextmanager
async def open_admission(
    sink: EventSink, *, committed: Callable[[int], None], max_bytes: int = MAX_WAITING_BYTES
) -> AsyncIterator[Admission]:
    """Takes events in while it is open, and stores all it has taken before it closes."""

    async def commit(events: Sequence[NewEvent]) -> Sequence[Receipt | AppError]:
        receipts = await sink.add(events)
        committed(len(events))
        return receipts

    batcher = Batcher(commit, max_items=MAX_COMMIT, max_waiting=MAX_WAITING)
    try:
        yield Admission(batcher, max_bytes=max_bytes)
    finally:
        await batcher.aclose()
