"""The feed: events as they are, then their changes, and on from wherever a stream was cut."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import timedelta

import pytest

from libs.errors import InvalidArgument
from services.webhooks.domain import feed as feeds
from services.webhooks.domain.feed import Feed, Step
from tests.support.database_clock import DatabaseClock
from tests.support.event_store import TOKENS
from tests.support.events import stored
from tests.support.lidarr_webhooks import NOON
from tests.support.memory_event_store import MemoryEventStore

SECOND = timedelta(seconds=1)


@pytest.fixture
def store() -> MemoryEventStore:
    clock = DatabaseClock()
    return MemoryEventStore(TOKENS, now=lambda: clock.time)


async def take(steps: AsyncIterator[Step], count: int) -> list[Step]:
    """The next few steps; they are there, so nothing is waited for."""
    async with asyncio.timeout(20):
        return [await anext(steps) for _ in range(count)]


def follow(feed: Feed, query: str = "", token: str = "") -> aclosing[AsyncGenerator[Step, None]]:
    """A stream that ends with the test."""
    steps = feed.follow(query, token)
    assert isinstance(steps, AsyncGenerator)
    return aclosing(steps)


async def read(store: MemoryEventStore, count: int, *, token: str = "", query: str = "") -> list[Step]:
    """The first few steps of a stream."""
    async with follow(Feed(store), query, token) as steps:
        return await take(steps, count)


async def some(store: MemoryEventStore, count: int) -> list[str]:
    """Events, two a second, stored in the order in which they came."""
    return [await stored(store, str(number), received_at=NOON + number // 2 * SECOND) for number in range(count)]


async def test_a_stream_that_is_cut_anywhere_goes_on_there(
    store: MemoryEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "_PAGE", 2)
    ids = await some(store, 5)

    for cut in range(1, 5):
        before = await read(store, cut)
        rest = await read(store, 5 - cut, token=before[-1].resume_token)
        assert [step.event.id for step in [*before, *rest]] == ids


async def test_what_changed_while_a_stream_was_cut_comes_behind_the_rest(store: MemoryEventStore) -> None:
    ids = await some(store, 4)
    before = await read(store, 2)
    await stored(store, "0")

    rest = await read(store, 3, token=before[-1].resume_token)

    assert [step.event.id for step in rest] == [ids[2], ids[3], ids[0]]
    assert rest[-1].event.duplicates == 1


async def test_a_stream_that_was_cut_among_changes_goes_on_behind_the_last_one(store: MemoryEventStore) -> None:
    async with follow(Feed(store), token="0") as steps:
        first = await stored(store, "a")
        second = await stored(store, "b")
        seen = await take(steps, 1)

    assert [step.event.id for step in seen] == [first]
    assert [step.event.id for step in await read(store, 1, token=seen[-1].resume_token)] == [second]


async def test_a_stream_is_woken_by_news(store: MemoryEventStore) -> None:
    feed = Feed(store, poll=timedelta(hours=1))
    async with follow(feed) as steps:
        waiting = asyncio.create_task(take(steps, 1))
        while not feed._news._waiters:  # until it waits
            await asyncio.sleep(0)
        event_id = await stored(store)

        feed.wake()

        assert [step.event.id for step in await waiting] == [event_id]


async def test_a_stream_keeps_to_its_filter(store: MemoryEventStore) -> None:
    await stored(store, "a")
    event_id = await stored(store, "b", source="forge")

    [step] = await read(store, 1, query="source = forge")

    assert step.event.id == event_id


@pytest.mark.parametrize("token", ["-1", "abc", "9" * 30, "١", "1.", "1.2", "1.2.", "1.2.evt_1", "1.x.evt-1", " 1"])
async def test_a_token_that_was_never_sent_is_refused(store: MemoryEventStore, token: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await read(store, 1, token=token)

    assert [violation.field for violation in caught.value.violations] == ["resume_token"]
