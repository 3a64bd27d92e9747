"""SIGKILL in the middle of a replay, again and again, beside a second worker: each event is replayed exactly once."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy import select

from libs import ids
from libs.sql.engine import Database, open_database
from libs.sql.paging import PageTokens
from libs.sql.types import now_ms
from libs.work.interventions import SqlInterventions
from libs.work.outbox import SqlOutbox
from libs.work.store import SqlWorkStore
from services.webhooks.domain.replays import NewReplay, Replay, ReplayState, Selection
from services.webhooks.replays.store import SqlReplays
from services.webhooks.tables import work
from tests.support.ledger import open_ledger
from tests.support.replayer import SCHEMA
from tests.support.waiting import eventually

EVENTS = 1500
KILLS = 5
RATE = 400  # so that there is something left to kill for whoever is fast


@asynccontextmanager
async def worker(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.replayer",
        url,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def replays_of(database: Database) -> SqlReplays:
    interventions = SqlInterventions(work, SqlOutbox(database, work, now=now_ms()))
    jobs = SqlWorkStore(database, work)
    return SqlReplays(database, jobs, interventions, tokens=PageTokens(b"page tokens of tests"))


async def resets(database: Database, replay: Replay) -> Counter[str]:
    """How often each event was reset by the replay."""
    table = work.event
    told = select(table.c.job_id, table.c.detail).where(table.c.to_state == "RECEIVED")
    async with database.reading() as connection:
        return Counter(job_id for job_id, detail in await connection.execute(told) if detail == {"replay": replay.id})


@pytest.mark.timeout(480)
async def test_each_event_is_replayed_once_whoever_was_killed(database_url: str) -> None:
    moments = random.Random(20261122)
    kills = 0
    async with open_database(database_url, schema=SCHEMA) as database:
        ledger, replays = await open_ledger(database), replays_of(database)
        dead = await ledger.put(count=EVENTS)
        selection = Selection(filter='state = "DEAD"')
        begun = await replays.start(NewReplay(id=ids.new("rpl"), selection=selection, rate=RATE))

        async def beyond(count: int) -> Replay | None:
            found = await replays.get(begun.id)
            return found if found.replayed > count or found.state is not ReplayState.RUNNING else None

        async def ended() -> Replay | None:
            found = await replays.get(begun.id)
            return None if found.state is ReplayState.RUNNING else found

        while kills < KILLS:
            before = (await replays.get(begun.id)).replayed
            async with worker(database_url) as process:
                seen = await eventually(lambda: beyond(before), within=120, every=0.01)  # noqa: B023 - awaited here
                if seen.state is not ReplayState.RUNNING:
                    break
                await asyncio.sleep(moments.uniform(0, 0.15))  # the moment of the kill, not a wait for anything
                process.kill()
                kills += await process.wait() == -9
        async with worker(database_url), worker(database_url):
            last = await eventually(ended, within=180)

        assert kills == KILLS
        assert (last.state, last.matched, last.replayed, last.skipped) == (ReplayState.COMPLETED, EVENTS, EVENTS, 0)
        assert await resets(database, begun) == Counter(dead)
