"""Tokens are refreshed ahead of their end, once for all who ask, and no failure costs the user what still works."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from lockgroove.config.v1 import oauth_pb2 as pb
from sqlalchemy import func, select

from deploy.demo.http_faults import Fault
from libs.sql.errors import DatabaseUnavailable
from services.config.domain.grants import Grant, NotGrantedError
from services.config.domain.oauth import (
    INVALID_GRANT,
    NoRefreshToken,
    RefreshFailed,
    RefreshRateLimited,
    RefreshRefused,
)
from services.config.oauth.refreshes import LEASE, SqlRefreshes
from services.config.tables import oauth_failure
from tests.integration.oauth.conftest import ANN, House, Replica, once
from tests.support.waiting import eventually

REFRESH = "refresh_token"
LATE = Grant(access_token="late", refresh_token="late too", lifetime=timedelta(hours=1))


@pytest.fixture
async def connected(replica: Replica, house: House) -> Replica:
    """A user's account is connected, and nothing was asked of the provider since."""
    await replica.connect()
    house.spotify.asked.clear()
    return replica


async def test_twenty_who_need_a_token_at_once_cost_one_call(house: House, connected: Replica) -> None:
    house.later(minutes=56)
    replicas = [connected, await house.replica()]
    house.spotify.faults.queue = [Fault.SLOW]

    issued = await asyncio.gather(*(replicas[number % 2].issue() for number in range(20)))

    assert house.spotify.asked == [REFRESH]
    assert len(set(issued)) == 1
    assert (
        sum(each.metric("oauth_refreshes_total", provider="spotify", outcome="refreshed") or 0 for each in replicas)
        == 1
    )


async def test_a_token_that_is_good_for_long_is_given_as_it_is(house: House, connected: Replica) -> None:
    first = await connected.issue()
    house.later(minutes=54)

    assert await connected.issue() == first
    assert house.spotify.asked == []


@once
async def test_a_token_that_never_lives_for_long_is_not_refreshed_by_everybody(
    house: House, connected: Replica
) -> None:
    house.spotify.lifetime = 120
    await connected.refresh()
    house.spotify.asked.clear()

    early = [await connected.issue() for _ in range(3)]
    house.later(seconds=70)
    late = await connected.issue()

    assert len({*early}) == 1
    assert late not in early
    assert house.spotify.asked == [REFRESH]


@once
async def test_a_provider_that_dawdles_is_not_waited_for_while_a_token_is_good(
    house: House, connected: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.config.oauth.refresher._WORTH", 0.01)
    before = await connected.issue()
    house.later(minutes=56)
    house.spotify.faults.queue = [Fault.SLOW]

    assert await connected.issue() == before
    await eventually(lambda: _refreshed(connected))
    assert house.spotify.asked == [REFRESH]


async def test_the_background_pass_refreshes_before_anybody_asks(house: House, connected: Replica) -> None:
    await connected.pass_once()
    assert house.spotify.asked == []
    house.later(minutes=50)
    assert (await connected.status()).status == pb.TokenStatus.EXPIRING
    assert connected.metric("oauth_tokens", provider="spotify", status="active") == 1

    await connected.pass_once()

    assert house.spotify.asked == [REFRESH]
    status = await connected.status()
    assert (status.status, status.refresh_count) == (pb.TokenStatus.ACTIVE, 1)
    assert status.last_refresh_time.ToDatetime(tzinfo=house.clock.time.tzinfo) == house.clock.time


@pytest.mark.parametrize("rotates", [True, False], ids=["rotating", "keeping"])
async def test_the_refresh_token_that_counts_is_the_last_that_came(
    house: House, connected: Replica, rotates: bool
) -> None:
    house.spotify.rotates = rotates

    await connected.refresh()
    status = await connected.refresh()

    assert (status.refresh_count, status.status) == (2, pb.TokenStatus.ACTIVE)


async def test_a_process_that_ends_waits_for_what_it_asked(house: House, connected: Replica) -> None:
    house.spotify.rotates = True
    house.spotify.faults.queue = [Fault.SLOW]
    upkeep = asyncio.create_task(connected.slice.upkeep.run())
    waiting = asyncio.create_task(connected.refresh())
    await eventually(lambda: _true(not house.spotify.faults.queue))

    waiting.cancel()
    upkeep.cancel()
    await asyncio.wait([upkeep])

    assert (await connected.status()).refresh_count == 1
    assert (await connected.refresh()).refresh_count == 2


async def test_what_a_dead_replica_left_another_takes_over(house: House, connected: Replica) -> None:
    assert await (await house.refreshes()).claim(await connected.slice.tokens.get(ANN))
    other = await house.replica()
    waiting = asyncio.create_task(other.refresh())
    await connected.pass_once()
    assert house.spotify.asked == []

    house.clock.advance(LEASE)

    assert (await waiting).refresh_count == 1
    assert house.spotify.asked == [REFRESH]


async def test_an_answer_that_comes_late_mends_what_was_refused_because_of_it(house: House, connected: Replica) -> None:
    refreshes = await house.refreshes()
    claim = await refreshes.claim(await connected.slice.tokens.get(ANN))
    assert claim is not None
    house.clock.advance(LEASE)
    house.spotify.grants.clear()  # rotated by the call whose answer comes late
    with pytest.raises(RefreshRefused):
        await connected.refresh()

    assert await refreshes.succeeded(claim, LATE, age=timedelta())
    assert (await connected.status()).status == pb.TokenStatus.ACTIVE
    assert not await refreshes.succeeded(claim, LATE, age=timedelta())


async def test_a_failure_that_comes_late_changes_nothing(house: House, connected: Replica) -> None:
    refreshes = await house.refreshes()
    claim = await refreshes.claim(await connected.slice.tokens.get(ANN))
    assert claim is not None
    house.clock.advance(LEASE)
    await (await house.replica()).refresh()

    assert not await refreshes.failed(claim, NotGrantedError(INVALID_GRANT))
    assert not await refreshes.succeeded(claim, LATE, age=timedelta())
    assert (await connected.status()).status == pb.TokenStatus.ACTIVE


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (Fault.UNAVAILABLE, "server_error"),
        (Fault.HALF, "unreadable_answer"),
        (Fault.PAGE, "unreadable_answer"),
        (Fault.REFUSED, "other"),
        (Fault.LARGE, "unreachable"),
    ],
)
@once
async def test_a_failure_is_one_row_and_the_token_stays_good(
    house: House, connected: Replica, fault: Fault, word: str
) -> None:
    house.later(minutes=56)
    house.spotify.faults.queue = [fault]

    assert await connected.issue()

    status = await connected.status()
    assert (status.status, status.last_error, status.recent_failure_count) == (pb.TokenStatus.EXPIRING, word, 1)
    assert not status.needs_authorization
    assert await _failures(house) == 1


@pytest.mark.parametrize(
    "answer",
    [{"expires_in": 10**30}, {"expires_in": -1}, {"expires_in": None}, {"token_type": []}, {"access_token": 1}],
)
@once
async def test_an_answer_that_makes_no_sense_ends_neither_the_token_nor_the_pass(
    house: House, connected: Replica, answer: dict[str, Any]
) -> None:
    house.spotify.answer = answer
    house.later(minutes=56)

    await connected.pass_once()

    status = await connected.status()
    assert (status.status, status.last_error) == (pb.TokenStatus.EXPIRING, "unreadable_answer")


async def test_a_provider_that_fails_is_asked_again_until_it_refreshes(house: House, connected: Replica) -> None:
    house.spotify.faults.always = Fault.UNAVAILABLE
    house.later(minutes=50)
    for _ in range(30):
        await connected.pass_once()
        house.later(minutes=1)
    house.spotify.faults.always = None

    for _ in range(6):
        await connected.pass_once()
        house.later(minutes=1)

    assert (await connected.status()).status == pb.TokenStatus.ACTIVE


async def test_three_failures_within_fifteen_minutes_block_the_fourth(house: House, connected: Replica) -> None:
    house.spotify.faults.always = Fault.UNAVAILABLE
    for _ in range(3):
        with pytest.raises(RefreshFailed):
            await connected.refresh()
        house.later(minutes=1)

    with pytest.raises(RefreshRateLimited) as caught:
        await (await house.replica()).refresh()

    assert caught.value.retry_after == timedelta(minutes=12)
    assert (await connected.status()).status == pb.TokenStatus.FAILED
    assert await connected.slice.recent_failures("ann", house.clock.time - timedelta(minutes=15)) == 3
    house.spotify.faults.always = None
    house.later(minutes=12)
    assert (await connected.refresh()).status == pb.TokenStatus.ACTIVE


async def test_a_provider_that_asks_for_a_rest_gets_it(house: House, connected: Replica) -> None:
    house.spotify.faults.retry_after = "600"
    house.spotify.faults.queue = [Fault.BUSY]
    with pytest.raises(RefreshFailed, match="rate_limited"):
        await connected.refresh()
    house.later(minutes=9)

    with pytest.raises(RefreshRateLimited) as caught:
        await connected.refresh()

    assert caught.value.retry_after == timedelta(minutes=1)
    house.later(minutes=1)
    assert (await connected.refresh()).refresh_count == 1


async def test_a_grant_that_the_provider_forgot_is_asked_for_once(house: House, connected: Replica) -> None:
    house.spotify.grants.clear()
    house.later(minutes=56)

    with pytest.raises(RefreshRefused, match="connect the account again") as caught:
        await connected.issue()

    assert caught.value.code_reason == "REFRESH_FAILED"
    status = await connected.status()
    assert (status.status, status.needs_authorization, status.last_error) == (
        pb.TokenStatus.FAILED,
        True,
        "invalid_grant",
    )
    with pytest.raises(RefreshRefused):
        await connected.refresh()
    assert house.spotify.asked == [REFRESH]


async def test_those_who_wait_for_another_replica_hear_that_it_failed(house: House, connected: Replica) -> None:
    other = await house.replica()
    house.spotify.faults.queue = [Fault.SLOW]
    house.spotify.grants.clear()

    ends = await asyncio.gather(connected.refresh(), other.refresh(), return_exceptions=True)

    assert [type(each) for each in ends] == [RefreshRefused, RefreshRefused]
    assert await _failures(house) == 1


async def test_a_token_without_a_refresh_token_is_good_to_its_end_only(house: House, replica: Replica) -> None:
    await replica.slice.tokens.connect(
        ANN, Grant(access_token="a" * 20, lifetime=timedelta(minutes=20)), age=timedelta()
    )
    house.later(minutes=19)
    with pytest.raises(NoRefreshToken) as caught:
        await replica.refresh()
    assert caught.value.code_reason == "NO_REFRESH_TOKEN"

    assert await replica.issue()

    house.later(minutes=1)

    status = await replica.status()
    assert (status.status, status.needs_authorization) == (pb.TokenStatus.EXPIRED, True)
    with pytest.raises(NoRefreshToken):
        await replica.issue()


async def test_a_database_that_comes_back_gets_what_the_provider_said(
    house: House, connected: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.spotify.rotates = True
    keep, failures = SqlRefreshes.succeeded, [DatabaseUnavailable("away")]

    async def once_away(*claim: Any, **more: Any) -> bool:
        if failures:
            raise failures.pop()
        return await keep(*claim, **more)

    monkeypatch.setattr(SqlRefreshes, "succeeded", once_away)
    assert (await connected.refresh()).refresh_count == 1
    assert house.spotify.asked == [REFRESH]


async def _refreshed(replica: Replica) -> bool:
    return (await replica.status()).refresh_count == 1


async def _true(fact: bool) -> bool:
    return fact


async def _failures(house: House) -> int:
    async with house.database.reading() as connection:
        return await connection.scalar(select(func.count()).select_from(oauth_failure)) or 0
