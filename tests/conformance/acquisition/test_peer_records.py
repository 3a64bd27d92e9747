"""What is remembered of peers, on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree

import pytest

from libs.clock import ManualClock
from libs.sql.engine import Database, open_database
from libs.sql.paging import PageTokens
from services.acquisition.domain.reputation import BLOCK
from services.acquisition.peers.store import SqlPeerRecords

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def records(database: Database, clock: ManualClock) -> SqlPeerRecords:
    return records_in(database, clock)


def records_in(database: Database, clock: ManualClock) -> SqlPeerRecords:
    return SqlPeerRecords(database, tokens=PageTokens(b"key"), clock=clock)


async def test_of_whom_nothing_is_known_is_absent(records: SqlPeerRecords) -> None:
    await records.delivered("ada", 5)

    assert set(await records.of(["ada", "bob"])) == {"ada"}


async def test_a_peer_that_fails_three_times_is_blocked_for_a_day(records: SqlPeerRecords, clock: ManualClock) -> None:
    for _ in range(3):
        await records.failed("ada", "TRANSFER_STALLED")

    assert (await records.of(["ada"]))["ada"].blocked_until == START + BLOCK
    clock.advance(BLOCK)
    assert not (await records.of(["ada"]))["ada"].is_blocked(clock.now())


async def test_a_peer_is_blocked_for_as_long_as_the_settings_say_when_it_fails(
    database: Database, clock: ManualClock
) -> None:
    block = timedelta(hours=1)
    records = SqlPeerRecords(database, tokens=PageTokens(b"key"), clock=clock, block=lambda: block)
    for _ in range(3):
        await records.failed("ada", "TRANSFER_STALLED")
    block = timedelta(hours=2)
    for _ in range(3):
        await records.failed("bob", "TRANSFER_STALLED")

    until = {name: record.blocked_until for name, record in (await records.of(["ada", "bob"])).items()}

    assert until == {"ada": START + timedelta(hours=1), "bob": START + timedelta(hours=2)}


async def test_a_fault_of_ours_leaves_no_trace(records: SqlPeerRecords) -> None:
    await records.failed("ada", "PEER_OFFLINE")

    assert await records.of(["ada"]) == {}


async def test_replicas_at_once_lose_nothing(records: SqlPeerRecords, database: Database, clock: ManualClock) -> None:
    replicas = [records, records_in(database, clock)]

    await asyncio.gather(*(replica.delivered("ada", 3) for _ in range(20) for replica in replicas))
    await asyncio.gather(*(replica.failed("ada", "WRONG_TAGS") for _ in range(5) for replica in replicas))

    record = (await records.of(["ada"]))["ada"]
    assert (record.successes, record.received_bytes, record.failures) == (40, 120, 10)


async def test_the_list_goes_by_name_page_by_page(records: SqlPeerRecords) -> None:
    for name in ("Zoe", "ada", "bob"):
        await records.delivered(name, 1)

    first = await records.page(blocked=False, page_size=2, page_token="")
    second = await records.page(blocked=False, page_size=2, page_token=first.next_token)

    assert [record.peer for record in (*first.records, *second.records)] == ["Zoe", "ada", "bob"]
    assert second.next_token == ""


async def test_the_blocked_alone_can_be_listed(records: SqlPeerRecords, clock: ManualClock) -> None:
    await records.delivered("ada", 1)
    await records.block("bob", None, "sends noise")
    await records.block("cyd", START + timedelta(hours=1), "")
    clock.advance(timedelta(hours=2))

    (record,) = (await records.page(blocked=True, page_size=0, page_token="")).records

    assert (record.peer, record.manual, record.reason) == ("bob", True, "sends noise")


async def test_the_end_of_a_block_by_hand_is_at_once(records: SqlPeerRecords, clock: ManualClock) -> None:
    await records.block("bob", None, "sends noise")
    await records.unblock("bob")

    assert not (await records.of(["bob"]))["bob"].is_blocked(clock.now())


async def test_without_a_database_nothing_is_remembered_and_nothing_fails(clock: ManualClock, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    async with open_database(f"sqlite+aiosqlite:///{folder}/test.db", schema="test") as database:
        nowhere = records_in(database, clock)
    rmtree(folder)
    await nowhere.failed("ada", "WRONG_TAGS")

    assert await nowhere.of(["ada"]) == {}
