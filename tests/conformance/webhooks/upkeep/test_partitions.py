"""The days of bodies on PostgreSQL: there before anybody needs them, made without keeping anybody waiting."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from services.webhooks.upkeep.partitions import AHEAD, RoomForBodies, SqlPartitions, day_of, name_of
from tests.conformance.webhooks.upkeep.conftest import Inbox, new_event

postgresql = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
sqlite = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


async def forget_days(inbox: Inbox) -> None:
    """As after weeks in which no service ran: no day from today on is there."""
    today = await inbox.today()
    partitions = SqlPartitions(inbox.database, inbox.notes)
    for day in await partitions.older_than(today + 100):
        if day >= today:
            await inbox.execute(f"DROP TABLE {name_of(day)}")


@postgresql
async def test_days_are_made_for_a_week_ahead(inbox: Inbox) -> None:
    await forget_days(inbox)
    partitions = SqlPartitions(inbox.database, inbox.notes)
    today = await inbox.today()

    assert await partitions.make() == list(range(today, today + AHEAD + 1))

    assert await partitions.missing() == []
    assert await inbox.receive()


@postgresql
async def test_replicas_that_start_together_make_each_day_once(inbox: Inbox) -> None:
    await forget_days(inbox)
    replicas = [SqlPartitions(inbox.database, inbox.notes) for _ in range(4)]

    made = await asyncio.gather(*(replica.make() for replica in replicas))

    assert sorted(map(len, made)) == [0, 0, 0, AHEAD + 1]
    assert len(await inbox.notes_by("reconciler")) == AHEAD + 1


@postgresql
async def test_nobody_who_stores_waits_for_a_new_day(inbox: Inbox) -> None:
    last = await inbox.today() + AHEAD
    await inbox.execute(f"DROP TABLE {name_of(last)}")
    partitions = SqlPartitions(inbox.database, inbox.notes)

    async with inbox.database.writing() as writer:  # an insert that has not committed yet
        await writer.execute(text("INSERT INTO event_body VALUES (-1, 'evt-x', '{}', '')"))
        async with asyncio.timeout(60):
            assert await partitions.make() == [last]


@postgresql
async def test_an_insert_makes_its_day_should_it_be_missing(inbox: Inbox) -> None:
    await forget_days(inbox)
    partitions = SqlPartitions(inbox.database, inbox.notes)
    with pytest.raises(IntegrityError):
        await inbox.store.add([new_event()])

    [receipt] = await RoomForBodies(inbox.store, partitions.make).add([new_event()])

    assert (await inbox.store.get(receipt.event_id)).body == new_event().body


@postgresql
async def test_a_new_day_is_as_the_others(inbox: Inbox) -> None:
    last = await inbox.today() + AHEAD
    await inbox.execute(f"DROP TABLE {name_of(last)}")
    await SqlPartitions(inbox.database, inbox.notes).make()

    indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = :name AND schemaname = current_schema()"

    assert await inbox.scalar(indexes, name=name_of(last)) == await inbox.scalar(indexes, name=name_of(last - 1)) == 1


@sqlite
async def test_sqlite_needs_no_days(inbox: Inbox) -> None:
    partitions = SqlPartitions(inbox.database, inbox.notes)

    assert (await partitions.missing(), await partitions.make(), await partitions.find()) == ([], [], [])


def test_a_day_is_named_by_its_date() -> None:
    day = day_of(datetime(2026, 11, 22, 23, 59, tzinfo=UTC))

    assert name_of(day) == "event_body_20261122"
