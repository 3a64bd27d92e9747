"""Waiting for a lease that another holds, in this process or in another one (`store` plays that one)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from libs.errors import Unavailable
from libs.leases.errors import LeaseHeld
from libs.leases.lease import Lease
from libs.leases.store import SqlLeaseStore
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.leases import Leases
from tests.conformance.leases.conftest import WatchedBook
from tests.support.database_clock import DatabaseClock
from tests.support.waiting import eventually

TTL = timedelta(seconds=30)
LONG = timedelta(minutes=1)


@asynccontextmanager
async def waiting(service: Leases, book: WatchedBook, *holders: str) -> AsyncIterator[list[asyncio.Task[Lease]]]:
    """These wait for the lease, one behind the other."""
    waiters = []
    for holder in holders:
        waiters.append(asyncio.create_task(service.acquire("session", holder, TTL, wait=LONG)))
        await looked(book)
    yield waiters
    for waiter in waiters:
        waiter.cancel()
    await asyncio.wait(waiters)


async def looked(book: WatchedBook) -> None:
    """One whole look later."""
    enough = book.looks + 2

    async def there() -> bool:
        return book.looks >= enough

    await eventually(there, every=0.01)


async def test_a_waiter_gets_what_is_given_back_here(service: Leases, book: WatchedBook) -> None:
    held = await service.acquire("session", "one", TTL)

    async with waiting(service, book, "two") as [waiter]:
        await service.release(held)

        assert (await waiter).fence == held.fence + 1


async def test_a_waiter_gets_what_another_process_gives_back(
    service: Leases, book: WatchedBook, store: SqlLeaseStore
) -> None:
    held = await store.acquire("session", "one", TTL)

    async with waiting(service, book, "two") as [waiter]:
        await store.release(held)

        assert (await waiter).holder == "two"


async def test_a_waiter_gets_what_its_holder_let_expire(
    service: Leases, book: WatchedBook, store: SqlLeaseStore, clock: DatabaseClock
) -> None:
    await store.acquire("session", "one", TTL)

    async with waiting(service, book, "two") as [waiter]:
        clock.advance(TTL)

        assert (await waiter).holder == "two"


async def test_who_came_first_is_served_first(service: Leases, book: WatchedBook) -> None:
    lease = await service.acquire("session", "one", TTL)
    served = []

    async with waiting(service, book, "two", "three", "four") as waiters:
        for waiter in waiters:
            await service.release(lease)
            lease = await waiter
            served.append(lease.holder)

    assert served == ["two", "three", "four"]


async def test_a_waiter_that_gives_up_lets_the_next_one_come_up(service: Leases, book: WatchedBook) -> None:
    held = await service.acquire("session", "one", TTL)

    async with waiting(service, book, "two", "three") as [second, third]:
        second.cancel()
        await service.release(held)

        assert (await third).holder == "three"


async def test_a_holder_that_asks_again_need_not_wait_for_itself(service: Leases, book: WatchedBook) -> None:
    held = await service.acquire("session", "one", TTL)

    async with waiting(service, book, "two"):
        again = await service.acquire("session", "one", TTL, wait=LONG)

    assert again.fence == held.fence


async def test_at_the_end_of_the_wait_the_lease_is_held(service: Leases) -> None:
    await service.acquire("session", "one", TTL)

    with pytest.raises(LeaseHeld) as refusal:
        await service.acquire("session", "two", TTL, wait=timedelta(milliseconds=50))

    assert refusal.value.retry_after is not None
    assert refusal.value.retry_after > timedelta()


async def test_an_outage_is_not_taken_for_a_holder(service: Leases, book: WatchedBook) -> None:
    await service.acquire("session", "one", TTL)

    async with waiting(service, book, "two", "three") as waiters:
        book.fault = Unavailable("away")

        for waiter in waiters:
            with pytest.raises(Unavailable):
                await waiter


async def test_however_many_wait_one_of_them_asks(service: Leases, book: WatchedBook, store: SqlLeaseStore) -> None:
    await store.acquire("session", "one", TTL)

    async with waiting(service, book, "two"):
        crowd = [asyncio.create_task(service.acquire("session", f"{number}", TTL, wait=LONG)) for number in range(50)]
        await looked(book)
        for one in crowd:
            one.cancel()
        await asyncio.wait(crowd)

    assert book.attempts <= 3


async def test_what_was_asked_and_how_it_ended_is_counted(service: Leases, metrics: Metrics) -> None:
    lease = await service.acquire("session", "one", TTL)
    with pytest.raises(LeaseHeld):
        await service.acquire("session", "two", TTL, wait=timedelta(milliseconds=1))
    await service.renew(lease)
    await service.run_once()

    text = metrics.render().decode()

    assert 'lockgroove_lease_operations_total{operation="acquire",result="acquired"} 1.0' in text
    assert 'lockgroove_lease_operations_total{operation="acquire",result="held"} 1.0' in text
    assert 'lockgroove_lease_operations_total{operation="renew",result="renewed"} 1.0' in text
    assert 'lockgroove_leases_held{kind="other"} 1.0' in text
    assert "lockgroove_lease_wait_seconds_count 1.0" in text
