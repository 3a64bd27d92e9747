"""What the store of leases can do beyond giving them out: reading, guarding writes, and starting anew."""

from datetime import timedelta

import pytest

from libs.leases.errors import LeaseLost
from libs.leases.store import SqlLeaseStore
from libs.sql.engine import Database
from tests.support.database_clock import DatabaseClock

TTL = timedelta(seconds=30)


async def test_a_lease_that_never_was_is_not_found(store: SqlLeaseStore) -> None:
    assert await store.find("session") is None


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


async def test_an_expired_lease_reads_as_free(store: SqlLeaseStore, clock: DatabaseClock) -> None:
    await store.acquire("session", "one", TTL)
    clock.advance(TTL)

    found = await store.find("session")

    assert found is not None
    assert (found.holder, found.fence, found.remaining) == (None, 1, timedelta())


async def test_what_is_left_is_counted_by_the_databases_clock(store: SqlLeaseStore, clock: DatabaseClock) -> None:
    await store.acquire("session", "one", TTL)
    clock.advance(TTL / 3)

    found = await store.find("session")

    assert found is not None
    assert found.remaining == TTL * 2 / 3


async def test_leases_are_listed_in_the_order_of_their_bytes(store: SqlLeaseStore, clock: DatabaseClock) -> None:
    for name in ("b", "soulseek/ä", "B", "a_b", "aXb", "soulseek/z"):
        await store.acquire(name, "one", TTL)

    assert [lease.name for lease in await store.list(limit=10)] == ["B", "aXb", "a_b", "b", "soulseek/z", "soulseek/ä"]
    assert [lease.name for lease in await store.list(after="a_b", limit=2)] == ["b", "soulseek/z"]
    assert [lease.name for lease in await store.list(prefix="a_", limit=10)] == ["a_b"]


async def test_only_those_that_are_held_are_listed_when_that_is_asked(
    store: SqlLeaseStore, clock: DatabaseClock
) -> None:
    await store.acquire("expired", "one", TTL / 2)
    await store.release(await store.acquire("released", "one", TTL))
    clock.advance(TTL / 2)
    await store.acquire("held", "one", TTL)

    assert [lease.name for lease in await store.list(held=True, limit=10)] == ["held"]
    assert [lease.name for lease in await store.list(limit=10)] == ["expired", "held", "released"]


async def test_many_are_found_at_once_and_unknown_ones_left_out(store: SqlLeaseStore) -> None:
    await store.acquire("known", "one", TTL)

    found = await store.find_many(["known", *(f"unknown-{number}" for number in range(1_100))])

    assert [lease.name for lease in found] == ["known"]
