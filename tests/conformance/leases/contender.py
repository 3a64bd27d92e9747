"""`python -m tests.conformance.leases.contender URL SCHEMA SERVER JOURNAL SEED`: takes one lease again and again.

It writes under its fence and notes what it did; it is there to be stopped and killed.

With an empty SERVER it uses the database itself. It never looks at the clock before it writes: that is what the fence
is for.
"""

import asyncio
import json
import os
import random
import sys
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from sqlalchemy import BigInteger, Column, MetaData, Table, insert

from libs.errors import AppError
from libs.leases.errors import LeaseLost
from libs.leases.hold import LeaseStore
from libs.leases.lease import Lease, new_holder
from libs.leases.remote import RemoteLeases
from libs.leases.store import SqlLeaseStore
from libs.leases.tables import lease_table
from libs.rpc.client import open_channel
from libs.sql.engine import Database, open_database
from libs.sql.types import Serial
from tests.support.lease_history import BELIEF, Act

LEASE = "session"
TOKEN = "token"
TTLS = (1.0, 1.25)
STARTED = "started"
REFUSED = "refused"  # a write, because of its fence

metadata = MetaData()
lease = lease_table(metadata)
written = Table("written", metadata, Column("id", Serial, primary_key=True), Column("fence", BigInteger))


class Journal:
    """What one process did, a line each, written at once."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, kind: str, fence: int, *, asked: float, ttl: float = 0.0) -> None:
        """It was asked for then, and is known now."""
        act = Act(process=str(os.getpid()), kind=kind, fence=fence, asked=asked, answered=time.monotonic(), ttl=ttl)
        os.write(self._file, json.dumps(asdict(act)).encode() + b"\n")


def read_journal(path: Path) -> list[Act]:
    """What was noted; half a line at the end is nothing."""
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [Act(**json.loads(line)) for line in lines]


class Contender:
    """Wants the lease."""

    def __init__(self, database: Database, leases: LeaseStore, journal: Journal, chance: random.Random) -> None:
        self._database = database
        self._store = SqlLeaseStore(database, lease)
        self._leases = leases
        self._journal = journal
        self._chance = chance

    async def run_once(self) -> None:
        """Takes the lease, uses it for a while and gives it back; raises AppError where that does not come off."""
        asked, ttl = time.monotonic(), self._chance.choice(TTLS)
        mine = await self._leases.acquire(LEASE, new_holder(), timedelta(seconds=ttl))
        self._journal.note("acquired", mine.fence, asked=asked, ttl=ttl)
        try:
            await self._use(mine, asked + BELIEF * ttl)
        except LeaseLost:
            self._journal.note("lost", mine.fence, asked=time.monotonic())
            await self._write(mine)  # as one does who has not heard of it

    async def _use(self, mine: Lease, until: float) -> None:
        for _ in range(self._chance.randrange(1, 4)):
            await self._write(mine)
            await asyncio.sleep(self._chance.uniform(0, 0.05))
            asked, ttl = time.monotonic(), self._chance.choice(TTLS)
            self._journal.note("renewing", mine.fence, asked=asked, ttl=ttl)
            until = min(until, asked + BELIEF * ttl)  # a shorter time may hold from now on, whether it is heard or not
            await self._leases.renew(mine, timedelta(seconds=ttl))
            if time.monotonic() >= until:
                raise LeaseLost("it was confirmed too late")
            self._journal.note("renewed", mine.fence, asked=asked, ttl=ttl)
            until = asked + BELIEF * ttl
        self._journal.note("releasing", mine.fence, asked=time.monotonic())
        await self._leases.release(mine)

    async def _write(self, mine: Lease) -> None:
        try:
            async with self._database.writing() as connection:
                await self._store.guard(connection, mine)
                await connection.execute(insert(written).values(fence=mine.fence))
        except LeaseLost:
            self._journal.note(REFUSED, mine.fence, asked=time.monotonic())


async def _main(url: str, schema: str, server: str, journal: str, seed: str) -> None:
    chance = random.Random(seed)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(url, schema=schema))
        leases: LeaseStore = SqlLeaseStore(database, lease)
        if server:
            leases = RemoteLeases(await stack.enter_async_context(open_channel(server, credential=TOKEN)))
        notes = Journal(Path(journal))
        contender = Contender(database, leases, notes, chance)
        notes.note(STARTED, 0, asked=time.monotonic())
        while True:
            with suppress(AppError):
                await contender.run_once()
            await asyncio.sleep(chance.uniform(0.01, 0.05))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
