"""Two replicas on one PostgreSQL at once: nothing is stored twice, handled twice, or handled out of order."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from libs import ids
from libs.sql.engine import open_database
from services.webhooks.domain.catalogue import Query
from services.webhooks.domain.event import NewEvent, Progress, Receipt, State
from services.webhooks.domain.lifecycle import Settlement
from services.webhooks.domain.processing import Claimed, Settled
from services.webhooks.events.store import SqlEventStore
from tests.support.event_store import open_event_store
from tests.support.events import LEASE, new_event

ALBUMS = 12
SENDERS = 8
HANDLERS = 4
RETRY = Settlement(state=State.RETRY, progress=Progress(tries=1, failures=1))
DONE = Settlement(state=State.DONE, progress=Progress(tries=1, acquisitions=("acquisitions/acq-1",)))


@pytest.fixture
async def replicas(postgres_url: str) -> AsyncIterator[tuple[SqlEventStore, SqlEventStore]]:
    url = postgres_url.replace("postgresql://", "postgresql+asyncpg://")
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(open_database(url, schema="inbox")) for _ in range(2)]
        yield await open_event_store(databases[0]), await open_event_store(databases[1])


def deliveries(sender: int) -> list[NewEvent]:
    """Each delivery comes from every sender; of one delivery id, half of them tell another body."""
    events = [new_event(f"delivery {number}", order_key=f"album {number % ALBUMS}") for number in range(60)]
    return [*events, new_event("contradiction", body=b"odd" if sender % 2 else b"even")]


async def deliver(store: SqlEventStore, sender: int) -> list[Receipt]:
    events = deliveries(sender)
    events = events[sender * 7 :] + events[: sender * 7]
    receipts = []
    for start in range(0, len(events), 10):
        batch = [replace(event, id=ids.new("evt")) for event in events[start : start + 10]]
        receipts += await store.add(batch)
    return receipts


async def test_deliveries_to_two_replicas_at_once_are_one_event_each(
    replicas: tuple[SqlEventStore, SqlEventStore],
) -> None:
    batches = await asyncio.gather(*(deliver(replicas[sender % 2], sender) for sender in range(SENDERS)))

    receipts = [receipt for batch in batches for receipt in batch]
    page = await replicas[0].page(Query(page_size=1000))
    assert sum(not receipt.duplicate for receipt in receipts) == len(page.events) == 62
    assert {receipt.event_id for receipt in receipts} == {event.id for event in page.events}
    assert sum(event.duplicates for event in page.events) == len(receipts) - 62
    assert Counter(event.state for event in page.events) == {State.RECEIVED: 61, State.DEAD: 1}


async def test_two_replicas_handle_each_event_once_and_each_album_in_order(
    replicas: tuple[SqlEventStore, SqlEventStore],
) -> None:
    events = [new_event(f"delivery {number}", order_key=f"album {number % ALBUMS}") for number in range(120)]
    await replicas[0].add(events)
    album_of = {event.id: event.order_key for event in events}
    running: set[str | None] = set()
    handled: dict[str | None, list[str]] = defaultdict(list)

    async def handle(store: SqlEventStore, claims: list[Claimed], number: int) -> None:
        albums = [album_of[claim.event.id] for claim in claims]
        assert len(albums) == len(set(albums))
        assert running.isdisjoint(albums)
        running.update(albums)
        fails = number % 3 == 0 and claims[0].event.progress.tries == 0
        ends = [replace(RETRY, delay=LEASE * 0) if fails and claim is claims[0] else DONE for claim in claims]
        for claim, end in zip(claims, ends, strict=True):
            if end is DONE:
                handled[album_of[claim.event.id]].append(claim.event.id)
        running.difference_update(albums)  # before the commit: from then on another may have them
        kept = await store.settle(
            [Settled(claimed=c, settlement=e, seconds=0) for c, e in zip(claims, ends, strict=True)]
        )
        assert kept == {claim.event.id for claim in claims}

    async def work(store: SqlEventStore) -> None:
        number = 0
        while sum(map(len, handled.values())) < len(events):
            number += 1
            if claims := await store.claim(7, LEASE):
                await handle(store, claims, number)

    async with asyncio.timeout(60):
        await asyncio.gather(*(work(replicas[handler % 2]) for handler in range(HANDLERS)))

    assert {album: sorted(done) for album, done in handled.items()} == dict(handled)
    assert Counter(event for done in handled.values() for event in done).most_common(1)[0][1] == 1
    assert await replicas[1].claim(1, LEASE) == []
