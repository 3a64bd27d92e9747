"""One limit for the whole suite: replicas on PostgreSQL, which know of each other only through the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import MetaData, func, select

from libs.outbound.answers import Answer, SqlAnswers
from libs.outbound.slots import SqlCallSlots
from libs.outbound.tables import cached_answer_table, call_slot_table
from libs.sql.engine import Database, open_database

INTERVAL = timedelta(milliseconds=50)
PATIENCE = timedelta(seconds=30)

METADATA = MetaData()
SLOTS, ANSWERS = call_slot_table(METADATA), cached_answer_table(METADATA)


@pytest.fixture
async def replicas(postgres_url: str) -> AsyncIterator[list[Database]]:
    async with AsyncExitStack() as stack:
        url = postgres_url.replace("postgresql://", "postgresql+asyncpg://")
        opened = [await stack.enter_async_context(open_database(url, schema="acquisition")) for _ in range(2)]
        async with opened[0].writing() as connection:
            await connection.run_sync(METADATA.create_all)
        yield opened


async def test_twenty_calls_of_two_replicas_are_never_closer_than_the_interval(replicas: list[Database]) -> None:
    stores = [SqlCallSlots(database, SLOTS) for database in replicas]
    taking = [stores[call % 2].take("shop", interval=INTERVAL, patience=PATIENCE) for call in range(20)]

    turns = sorted(turn.at for turn in await asyncio.gather(*taking))

    assert all(later - earlier >= INTERVAL for earlier, later in pairwise(turns))


async def test_a_replica_that_starts_anew_keeps_to_the_turns_that_were_given(replicas: list[Database]) -> None:
    for _ in range(3):
        last = await SqlCallSlots(replicas[0], SLOTS).take("shop", interval=PATIENCE / 4, patience=PATIENCE)

    turn = await SqlCallSlots(replicas[1], SLOTS).take("shop", interval=PATIENCE / 4, patience=PATIENCE)

    assert turn.at == last.at + PATIENCE / 4


async def test_replicas_that_keep_and_sweep_at_once_do_not_get_in_each_others_way(replicas: list[Database]) -> None:
    stores = [SqlAnswers(database, ANSWERS) for database in replicas]
    over = timedelta(milliseconds=-1)
    await asyncio.gather(
        *(stores[key % 2].keep("shop", str(key % 7), Answer(body=[key]), ttl=over) for key in range(60))
    )

    await stores[0].keep("shop", "last", Answer(body=[1]), ttl=PATIENCE)

    async with replicas[0].reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(ANSWERS)) == 1
