"""Following leases: those that are held, then every change of holder, whoever makes it (`store` is another process)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta

import pytest

from libs.errors import Unavailable
from libs.leases.lease import Lease
from libs.leases.store import SqlLeaseStore
from services.acquisition.domain.leases import Leases
from tests.conformance.leases.conftest import WatchedBook
from tests.support.database_clock import DatabaseClock

TTL = timedelta(seconds=30)


@asynccontextmanager
async def following(service: Leases, prefix: str = "") -> AsyncIterator[AsyncIterator[Lease]]:
    """A stream, for not too long."""
    async with asyncio.timeout(30), aclosing(service.watch(prefix)) as stream:  # type: ignore[type-var] # a generator
        yield stream


async def test_what_is_held_comes_first(service: Leases, store: SqlLeaseStore) -> None:
    await store.acquire("session", "one", TTL)
    await store.acquire("timer", "two", TTL)
    await store.release(await store.acquire("free", "three", TTL))

    async with following(service) as stream:
        first = [await anext(stream), await anext(stream)]

    assert [(lease.name, lease.holder) for lease in first] == [("session", "one"), ("timer", "two")]


async def test_every_change_of_holder_is_told(service: Leases, store: SqlLeaseStore, clock: DatabaseClock) -> None:
    seen = []

    async with following(service) as stream:
        held = await store.acquire("session", "one", TTL)
        seen.append(await anext(stream))
        await store.release(held)
        seen.append(await anext(stream))
        await service.acquire("session", "two", TTL)
        seen.append(await anext(stream))
        clock.advance(TTL)
        seen.append(await anext(stream))
        await store.acquire("session", "three", TTL)
        seen.append(await anext(stream))

    assert [(lease.holder, lease.fence) for lease in seen] == [
        ("one", 1),
        (None, 1),
        ("two", 2),
        (None, 2),
        ("three", 3),
    ]


async def test_a_takeover_between_two_looks_is_told(
    service: Leases, store: SqlLeaseStore, clock: DatabaseClock
) -> None:
    await store.acquire("session", "one", TTL)

    async with following(service) as stream:
        await anext(stream)
        clock.advance(TTL)
        await store.acquire("session", "two", TTL)
        while (lease := await anext(stream)).holder != "two":
            assert lease.holder is None  # the look was in between

    assert lease.fence == 2


async def test_a_renewal_is_no_change(service: Leases, clock: DatabaseClock) -> None:
    lease = await service.acquire("session", "one", TTL)

    async with following(service) as stream:
        await anext(stream)
        clock.advance(TTL / 2)
        await service.renew(lease, 2 * TTL)
        await service.acquire("timer", "two", TTL)

        assert (await anext(stream)).name == "timer"


async def test_only_names_that_begin_so_are_told(service: Leases, store: SqlLeaseStore) -> None:
    await store.acquire("a", "one", TTL)
    await store.acquire("soulseek/b", "one", TTL)

    async with following(service, "soulseek/") as stream:
        first = await anext(stream)
        await service.acquire("c", "one", TTL)
        await service.acquire("soulseek/d", "one", TTL)
        second = await anext(stream)

    assert [first.name, second.name] == ["soulseek/b", "soulseek/d"]


async def test_a_slow_reader_gets_the_last_state_once(service: Leases) -> None:
    async with following(service) as stream:
        await service.acquire("session", "first", TTL)
        await anext(stream)
        for number in range(20):
            await service.release(await service.acquire(f"many-{number % 2}", "one", TTL))
        await service.acquire("many-0", "last", TTL)
        await service.acquire("end", "one", TTL)
        told = [await anext(stream)]
        while told[-1].name != "end":
            told.append(await anext(stream))

    assert {lease.name: lease.holder for lease in told} == {"many-0": "last", "many-1": None, "end": "one"}
    assert len(told) == 3


async def test_all_who_follow_share_the_looks(service: Leases, book: WatchedBook, store: SqlLeaseStore) -> None:
    await store.acquire("session", "one", TTL)

    async def follow() -> Lease:
        async with following(service) as stream:
            await anext(stream)
            return await anext(stream)

    followers = [asyncio.create_task(follow()) for _ in range(200)]
    await asyncio.sleep(0)
    await store.acquire("timer", "two", TTL)
    last = await asyncio.gather(*followers)

    assert {lease.name for lease in last} == {"timer"}
    assert book.looks < 50


async def test_an_outage_ends_the_stream(service: Leases, book: WatchedBook) -> None:
    await service.acquire("session", "one", TTL)

    async with following(service) as stream:
        await anext(stream)
        book.fault = Unavailable("away")

        with pytest.raises(Unavailable):
            await anext(stream)
