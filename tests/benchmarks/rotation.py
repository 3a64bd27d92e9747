"""How fast 100,000 secrets are sealed anew: ours, and with a commit each; and how often ours tells how far it is."""

import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from sqlalchemy import select, update

from libs.crypto.resealing import Progress, Resealing
from libs.sql.engine import Database, open_database
from tests.support import sealed_records as records
from tests.support.postgres import run_postgres
from tests.support.sealed_records import Replica, opened, record

RECORDS = 100_000
SHARE = 5_000  # of them, for what takes a commit each
_ROWS_AT_ONCE = 6_000  # which hold 10,000 records: two of three rows have two


@dataclass
class Words:
    """What a rotation says of its progress."""

    start: float = field(default_factory=time.perf_counter)
    said: list[tuple[float, int]] = field(default_factory=list)

    def hear(self, progress: Progress) -> None:
        """It stands like this now."""
        self.said.append((time.perf_counter() - self.start, progress.done))

    @property
    def longest_silence(self) -> float:
        """In seconds."""
        times = [0.0, *(at for at, _ in self.said)]
        return max(after - before for before, after in pairwise(times))


async def measure() -> str:
    """The table, for both databases."""
    lines = ["| database | way | records | s | records/s | ours is |", "| --- | --- | --- | --- | --- | --- |"]
    said = list[str]()
    with tempfile.TemporaryDirectory() as home, run_postgres(durable=True) as server:
        urls = {"SQLite": f"sqlite+aiosqlite:///{Path(home)}/bench.db", "PostgreSQL": server.url()}
        for name, url in urls.items():
            async with _filled(url.replace("postgresql://", "postgresql+asyncpg://")) as replica:
                seconds, words = await _ours(replica)
                slow = await _one_by_one(replica)
            ratio = (RECORDS / seconds) / (SHARE / slow)
            lines.append(f"| {name} | ours | {RECORDS} | {seconds:.1f} | {RECORDS / seconds:.0f} | 1.0 x |")
            lines.append(f"| {name} | a commit each | {SHARE} | {slow:.1f} | {SHARE / slow:.0f} | {ratio:.1f} x |")
            said.append(
                f"{name}: {len(words.said)} words about its progress, the longest silence was"
                f" {words.longest_silence:.1f} s."
            )
    return "\n".join([*lines, "", *said]) + "\n"


async def _ours(replica: Replica) -> tuple[float, Words]:
    """Seconds of a whole rotation: a new key, everything sealed with it, the old one forgotten."""
    resealing = Resealing(replica.database, replica.safe, records.COLUMNS, head=records.HEAD)
    words = Words()
    start = time.perf_counter()
    await resealing.renew(1)
    progress = await resealing.run(words.hear)
    seconds = time.perf_counter() - start
    assert (progress.done, progress.total) == (RECORDS, RECORDS)
    assert len(await records.known_keys(replica.database)) == 1
    return seconds, words


async def _one_by_one(replica: Replica) -> float:
    """Seconds of what people write first: read a row, open it, seal it, commit, and go to the next."""
    await replica.safe.renew(2)
    async with replica.database.reading() as connection:
        rows = (await connection.execute(select(record.c.owner, record.c.name).limit(SHARE))).all()
    [first, _] = records.COLUMNS
    start = time.perf_counter()
    for row in rows:
        same = (record.c.owner == row.owner, record.c.name == row.name)
        async with replica.database.writing() as connection:
            held = (await connection.execute(select(record).where(*same).with_for_update())).one()
            keyring = await replica.safe.sealer(connection)
            plaintext = keyring.open(held.first, context=first.context(held))
            sealed = keyring.seal(plaintext, context=first.context(held))
            await connection.execute(update(record).where(*same).values(first=sealed))
    return time.perf_counter() - start


@asynccontextmanager
async def _filled(url: str) -> AsyncIterator[Replica]:
    async with open_database(url, schema=records.SCHEMA) as database:
        await records.make_tables(database)
        replica = await opened(database)
        await replica.rotate(0)
        for batch in range(RECORDS // 10_000):
            names = range(batch * _ROWS_AT_ONCE, (batch + 1) * _ROWS_AT_ONCE)
            await _fill(database, replica, {f"name-{number:06}": "sesame" * 4 for number in names})
        yield replica


async def _fill(database: Database, replica: Replica, texts: Mapping[str, str]) -> None:
    async with database.writing() as connection:
        keyring = await replica.safe.sealer(connection)
    await records.fill(database, keyring, texts)
