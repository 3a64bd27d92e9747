"""Admission: what waits to be stored is bounded, by count and by bytes."""

import asyncio
from collections.abc import Sequence

import pytest

from services.webhooks.admission import NoRoom, open_admission
from services.webhooks.domain.event import NewEvent, Receipt
from tests.support.lidarr_webhooks import NOON


class SlowSink:
    """Stores when it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.stored: list[str] = []

    async def add(self, events: Sequence[NewEvent]) -> list[Receipt]:
        await self.go.wait()
        self.stored += [event.id for event in events]
        return [Receipt(event_id=event.id, duplicate=False) for event in events]


def event(event_id: str, size: int) -> NewEvent:
    return NewEvent(
        id=event_id, source="lidarr", type="Grab", key=event_id, headers={}, body=b"x" * size, received_at=NOON
    )


async def test_bytes_that_wait_are_bounded_and_room_comes_back() -> None:
    sink = SlowSink()
    async with open_admission(sink, committed=lambda _size: None, max_bytes=100) as admission:
        waiting = [asyncio.create_task(admission.submit(event(f"evt-{number}", 40))) for number in range(2)]
        await asyncio.sleep(0)

        with pytest.raises(NoRoom) as caught:
            await admission.submit(event("evt-2", 40))
        sink.go.set()
        await asyncio.gather(*waiting)
        await admission.submit(event("evt-3", 100))

    assert caught.value.retry_after is not None
    assert sink.stored == ["evt-0", "evt-1", "evt-3"]


async def test_the_largest_delivery_alone_is_never_too_large() -> None:
    sink = SlowSink()
    sink.go.set()

    async with open_admission(sink, committed=lambda _size: None, max_bytes=100) as admission:
        assert (await admission.submit(event("evt-1", 1000))).event_id == "evt-1"


async def test_what_was_admitted_is_stored_although_its_sender_left() -> None:
    sink = SlowSink()
    async with open_admission(sink, committed=lambda _size: None) as admission:
        leaving = asyncio.create_task(admission.submit(event("evt-1", 1)))
        await asyncio.sleep(0)
        leaving.cancel()
        sink.go.set()

    assert sink.stored == ["evt-1"]
