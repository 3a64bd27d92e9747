"""Leases, as every store must keep them."""

import asyncio
from datetime import timedelta

import pytest

from libs.leases.errors import LeaseHeld, LeaseLost
from libs.leases.store import SqlLeaseStore
from libs.sql.engine import Database
from tests.support.database_clock import DatabaseClock

TTL = timedelta(seconds=30)
TICK = timedelta(milliseconds=1)


async def test_a_free_lease_is_taken(store: SqlLeaseStore, clock: DatabaseClock) -> None:
    lease = await store.acquire("session", "one", TTL)

    assert (lease.name, lease.holder, lease.fence, lease.expires_at) == ("session", "one", 1, clock.time + TTL)


async def test_a_held_lease_is_refused_and_says_when_to_come_back(store: SqlLeaseStore, clock: DatabaseClock) -> None:
    await store.acquire("session", "one", TTL)
    clock.advance(timedelta(seconds=10))

    with pytest.raises(LeaseHeld) as refusal:
        await store.acquire("session", "two", TTL)

    assert refusal.value.retry_after is not None
    assert timedelta(seconds=20) <= refusal.value.retry_after <= timedelta(seconds=21)


async def test_leases_of_other_names_do_not_matter(store: SqlLeaseStore) -> None:
    await store.acquire("session", "one", TTL)

    assert (await store.acquire("timer", "two", TTL)).fence == 1


async def test_acquiring_again_keeps_the_fence(store: SqlLeaseStore, clock: DatabaseClock) -> None:
    first = await store.acquire("session", "one", TTL)
    clock.advance(TTL / 2)

    again = await store.acquire("session", "one", TTL)

    assert (again.fence, again.expires_at) == (first.fence, clock.time + TTL)


async def test_an_expired_lease_is_taken_over_with_a_higher_fence(store: SqlLeaseStore, clock: DatabaseClock) -> None:
    first = await store.acquire("session", "one", TTL)
    clock.advance(TTL)

    assert (await store.acquire("session", "two", TTL)).fence == first.fence + 1


async def test_even_the_same_holder_gets_a_new_fence_after_the_end(store: SqlLeaseStore, clock: DatabaseClock) -> None:
    first = await store.acquire("session", "one", TTL)
    clock.advance(TTL)

    assert (await store.acquire("session", "one", TTL)).fence == first.fence + 1


async def test_a_released_lease_is_free_at_once_and_its_fence_goes_on(store: SqlLeaseStore) -> None:
    first = await store.acquire("session", "one", TTL)
    await store.release(first)

    assert (await store.acquire("session", "two", TTL)).fence == first.fence + 1


async def test_renewing_extends_the_lease(store: SqlLeaseStore, clock: DatabaseClock) -> None:
    lease = await store.acquire("session", "one", TTL)
    clock.advance(TTL - TICK)

    assert (await store.renew(lease, TTL)).expires_at == clock.time + TTL


async def test_an_expired_lease_cannot_be_renewed(store: SqlLeaseStore, clock: DatabaseClock) -> None:
    lease = await store.acquire("session", "one", TTL)
    clock.advance(TTL)

    with pytest.raises(LeaseLost):
        await store.renew(lease, TTL)


async def test_a_lease_that_another_took_over_cannot_be_renewed(store: SqlLeaseStore, clock: DatabaseClock) -> None:
    lost = await store.acquire("session", "one", TTL)
    clock.advance(TTL)
    await store.acquire("session", "two", TTL)

    with pytest.raises(LeaseLost):
        await store.renew(lost, TTL)


async def test_releasing_a_lost_lease_leaves_the_new_holder_alone(store: SqlLeaseStore, clock: DatabaseClock) -> None:
    lost = await store.acquire("session", "one", TTL)
    clock.advance(TTL)
    await store.acquire("session", "two", TTL)

    await store.release(lost)

    found = await store.find("session")
    assert found is not None
    assert found.holder == "two"


async def test_a_free_lease_stays_visible_with_its_last_fence(store: SqlLeaseStore) -> None:
    await store.release(await store.acquire("session", "one", TTL))

    found = await store.find("session")

    assert found is not None
    assert (found.holder, found.fence) == (None, 1)


async def test_a_lease_that_never_was_is_not_found(store: SqlLeaseStore) -> None:
    assert await store.find("session") is None


async def test_of_many_at_once_one_gets_it(store: SqlLeaseStore) -> None:
    results = await asyncio.gather(
        *[store.acquire("session", f"holder-{number}", TTL) for number in range(12)], return_exceptions=True
    )

    assert sum(isinstance(result, LeaseHeld) for result in results) == 11


async def test_a_guarded_write_needs_the_newest_fence(
    lease_database: Database, store: SqlLeaseStore, clock: DatabaseClock
) -> None:
    stale = await store.acquire("session", "one", TTL)
    clock.advance(TTL)
    newest = await store.acquire("session", "two", TTL)

    async with lease_database.writing() as connection:
        await store.guard(connection, newest)
        with pytest.raises(LeaseLost):
            await store.guard(connection, stale)


async def test_after_a_backup_all_leases_are_free_and_fences_higher(store: SqlLeaseStore) -> None:
    before = await store.acquire("session", "one", TTL)

    await store.revoke()

    assert (await store.acquire("session", "two", TTL)).fence > before.fence + 1_000
