"""Leases, as everything must keep them that gives them out: the store, the service, and the service from afar."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from libs.clock import SystemClock
from libs.leases.errors import LeaseHeld, LeaseLost
from libs.leases.hold import LeaseStore, hold
from libs.leases.store import SqlLeaseStore
from tests.support.database_clock import DatabaseClock
from tests.support.waiting import eventually

TTL = timedelta(seconds=30)
SHORT = timedelta(seconds=1)
TICK = timedelta(milliseconds=1)


async def test_a_free_lease_is_taken(leases: LeaseStore, clock: DatabaseClock) -> None:
    lease = await leases.acquire("session", "one", TTL)

    assert (lease.name, lease.holder, lease.fence, lease.expires_at) == ("session", "one", 1, clock.time + TTL)


async def test_a_held_lease_is_refused_and_says_when_to_come_back(leases: LeaseStore, clock: DatabaseClock) -> None:
    await leases.acquire("session", "one", TTL)
    clock.advance(timedelta(seconds=10))

    with pytest.raises(LeaseHeld) as refusal:
        await leases.acquire("session", "two", TTL)

    assert refusal.value.retry_after is not None
    assert timedelta(seconds=20) <= refusal.value.retry_after <= timedelta(seconds=21)


async def test_leases_of_other_names_do_not_matter(leases: LeaseStore) -> None:
    await leases.acquire("session", "one", TTL)

    assert (await leases.acquire("timer", "two", TTL)).fence == 1


async def test_acquiring_again_keeps_the_fence(leases: LeaseStore, clock: DatabaseClock) -> None:
    first = await leases.acquire("session", "one", TTL)
    clock.advance(TTL / 2)

    again = await leases.acquire("session", "one", TTL)

    assert (again.fence, again.expires_at) == (first.fence, clock.time + TTL)


async def test_an_expired_lease_is_taken_over_with_a_higher_fence(leases: LeaseStore, clock: DatabaseClock) -> None:
    first = await leases.acquire("session", "one", TTL)
    clock.advance(TTL)

    assert (await leases.acquire("session", "two", TTL)).fence == first.fence + 1


async def test_even_the_same_holder_gets_a_new_fence_after_the_end(leases: LeaseStore, clock: DatabaseClock) -> None:
    first = await leases.acquire("session", "one", TTL)
    clock.advance(TTL)

    assert (await leases.acquire("session", "one", TTL)).fence == first.fence + 1


async def test_a_released_lease_is_free_at_once_and_its_fence_goes_on(leases: LeaseStore) -> None:
    first = await leases.acquire("session", "one", TTL)
    await leases.release(first)

    assert (await leases.acquire("session", "two", TTL)).fence == first.fence + 1


async def test_renewing_extends_the_lease(leases: LeaseStore, clock: DatabaseClock) -> None:
    lease = await leases.acquire("session", "one", TTL)
    clock.advance(TTL - TICK)

    assert (await leases.renew(lease, TTL)).expires_at == clock.time + TTL


async def test_an_expired_lease_cannot_be_renewed(leases: LeaseStore, clock: DatabaseClock) -> None:
    lease = await leases.acquire("session", "one", TTL)
    clock.advance(TTL)

    with pytest.raises(LeaseLost):
        await leases.renew(lease, TTL)


async def test_a_lease_that_another_took_over_cannot_be_renewed(leases: LeaseStore, clock: DatabaseClock) -> None:
    lost = await leases.acquire("session", "one", TTL)
    clock.advance(TTL)
    await leases.acquire("session", "two", TTL)

    with pytest.raises(LeaseLost):
        await leases.renew(lost, TTL)


async def test_releasing_a_lost_lease_leaves_the_new_holder_alone(
    leases: LeaseStore, store: SqlLeaseStore, clock: DatabaseClock
) -> None:
    lost = await leases.acquire("session", "one", TTL)
    clock.advance(TTL)
    await leases.acquire("session", "two", TTL)

    await leases.release(lost)

    found = await store.find("session")
    assert found is not None
    assert found.holder == "two"


async def test_a_free_lease_stays_visible_with_its_last_fence(leases: LeaseStore, store: SqlLeaseStore) -> None:
    await leases.release(await leases.acquire("session", "one", TTL))

    found = await store.find("session")

    assert found is not None
    assert (found.holder, found.fence) == (None, 1)


async def test_of_many_at_once_one_gets_it(leases: LeaseStore) -> None:
    results = await asyncio.gather(
        *[leases.acquire("session", f"holder-{number}", TTL) for number in range(12)], return_exceptions=True
    )

    assert sum(isinstance(result, LeaseHeld) for result in results) == 11


async def test_each_renewal_may_name_another_time(leases: LeaseStore, clock: DatabaseClock) -> None:
    lease = await leases.acquire("session", "one", TTL)

    assert (await leases.renew(lease, 3 * TTL)).expires_at == clock.time + 3 * TTL
    assert (await leases.renew(lease, TTL / 3)).expires_at == clock.time + TTL / 3


async def test_what_remains_of_a_lease_is_told(leases: LeaseStore) -> None:
    lease = await leases.acquire("session", "one", TTL)

    assert lease.remaining == TTL
    assert (await leases.renew(lease, 2 * TTL)).remaining == 2 * TTL


async def test_a_wrong_fence_or_holder_neither_renews_nor_frees(leases: LeaseStore, store: SqlLeaseStore) -> None:
    lease = await leases.acquire("session", "one", TTL)

    for wrong in (replace(lease, fence=lease.fence + 1), replace(lease, holder="two")):
        await leases.release(wrong)
        with pytest.raises(LeaseLost):
            await leases.renew(wrong, TTL)
    assert await store.find("session") == lease


async def test_a_body_runs_while_its_lease_is_held(
    leases: LeaseStore, store: SqlLeaseStore, clock: DatabaseClock
) -> None:
    async def renewed() -> bool:
        found = await store.find("session")
        return found is not None and found.remaining == SHORT

    async with hold(leases, "session", ttl=SHORT, clock=SystemClock()):
        clock.advance(SHORT / 2)
        await eventually(renewed)

    assert (found := await store.find("session")) is not None
    assert found.holder is None


async def test_a_body_ends_when_its_lease_is_lost(
    leases: LeaseStore, store: SqlLeaseStore, clock: DatabaseClock
) -> None:
    async def body() -> None:
        async with hold(leases, "session", ttl=SHORT, clock=SystemClock()):
            clock.advance(SHORT)
            await store.acquire("session", "two", TTL)
            await asyncio.Event().wait()

    with pytest.raises(LeaseLost):
        await asyncio.wait_for(body(), 20)
