"""Admission: events that arrive at the same time share a commit, and whoever handles or follows them learns of it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from libs.batching import Batcher
from libs.errors import AppError
from services.webhooks.domain.event import NewEvent, Receipt

MAX_COMMIT = 256
MAX_WAITING = 4096


class EventSink(Protocol):
    """Where events are stored."""

    async def add(self, events: Sequence[NewEvent]) -> Sequence[Receipt]:
        """Store events in one commit, in order; raises AppError when none was stored."""
        ...


@asynccontextmanager
async def open_admission(
    sink: EventSink, *, committed: Callable[[int], None]
) -> AsyncIterator[Batcher[NewEvent, Receipt]]:
    """Takes events in while it is open, and stores all it has taken before it closes."""

    async def commit(events: Sequence[NewEvent]) -> Sequence[Receipt | AppError]:
        receipts = await sink.add(events)
        committed(len(events))
        return receipts

    batcher = Batcher(commit, max_items=MAX_COMMIT, max_waiting=MAX_WAITING)
    try:
        yield batcher
    finally:
        await batcher.aclose()
