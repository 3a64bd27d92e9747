"""A job of two steps whose worker can be killed or frozen around each commit; as a program, it is that worker."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from sqlalchemy import MetaData

from libs.clock import SystemClock
from libs.errors import AppError
from libs.sql.engine import Database, open_database
from libs.work.context import Context
from libs.work.endings import Endings
from libs.work.job import Claim, Done, Finish, NewJob, Next, Outcome
from libs.work.store import SqlWorkStore
from libs.work.tables import work_tables
from libs.work.worker import Worker

TTL = timedelta(seconds=1)


class Album:
    """The steps, each of which leaves a line in a file: that is its outside action."""

    def __init__(self, log: Path) -> None:
        self._log = log

    async def step(self, claim: Claim, context: Context) -> Outcome:
        with self._log.open("a") as log:
            log.write(f"{claim.state}\n")
        return Next(state="DOWNLOADING") if claim.state == "QUEUED" else Done(state="COMPLETED")


class FatefulStore(SqlWorkStore):
    """Sends its process a signal before or after commit number k, as SIGKILL_AT=before:k or SIGSTOP_AT=before:k say."""

    _commits = 0

    async def finish_many(self, finishes: Sequence[Finish], **others: object) -> list[int | AppError]:
        self._commits += 1
        self._meet_fate("before")
        results = await super().finish_many(finishes)
        self._meet_fate("after")
        return results

    def _meet_fate(self, where: str) -> None:
        for fate in (signal.SIGKILL, signal.SIGSTOP):
            if os.environ.get(f"{fate.name}_AT") == f"{where}:{self._commits}":
                os.kill(os.getpid(), fate)


async def work_until_done(database: Database, log: Path) -> str:
    """Makes the job unless it is there, works until it has ended, and returns its state."""
    tables = work_tables(MetaData())
    store = FatefulStore(database, tables)
    async with database.writing() as connection:
        await connection.run_sync(tables.work.metadata.create_all)
        job = NewJob(id="job-1", queue="albums", kind="album", state="QUEUED", dedup_key="album")
        if not await connection.scalar(tables.work.select().with_only_columns(tables.work.c.id)):
            await store.create(connection, job)
    step = Album(log).step
    worker = Worker(
        store,
        {"album": step},
        queue="albums",
        endings=Endings(cancelled=step, crash_loop=step),
        clock=SystemClock(),
        ttl=TTL,
        poll=timedelta(milliseconds=50),
    )
    working = asyncio.create_task(worker.run())
    async with asyncio.timeout(30):
        while await store.depth("albums"):
            await asyncio.sleep(0.02)
    worker.stop()
    await working
    async with database.reading() as connection:
        return str(await connection.scalar(tables.work.select().with_only_columns(tables.work.c.state)))


async def main(url: str, log: str) -> None:
    async with open_database(url, schema="test") as database:
        await work_until_done(database, Path(log))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
