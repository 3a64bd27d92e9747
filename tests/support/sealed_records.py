"""Sealed records in a database of their own, to be sealed anew. As a program it rotates their key once.

`python -m tests.support.sealed_records URL EPOCH`, with `SIGKILL_AT=before:3` or `after:3`, dies at its third commit.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Column, LargeBinary, MetaData, Table, Text, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.crypto.keyring import Keyring
from libs.crypto.resealing import Progress, Resealing, SealedColumn
from libs.crypto.rootkey import RootKeys
from libs.crypto.safe import Safe, open_safe
from libs.crypto.tables import data_key_table
from libs.sql.engine import Database, open_database

SCHEMA = "sealed"
HEAD = "0001"
ROOTS = RootKeys(current=b"root-key-of-tests-0123456789-abcdef")

metadata = MetaData()
data_key = data_key_table(metadata)
# Two columns, one of which may be empty, and a key of two parts: as settings, their revisions and tokens have them.
record = Table(
    "record",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("first", LargeBinary, nullable=False),
    Column("second", LargeBinary),
)
COLUMNS = (
    SealedColumn(column=record.c.first, context=lambda row: f"{row.owner}/{row.name}/first"),
    SealedColumn(column=record.c.second, context=lambda row: f"{row.owner}/{row.name}/second"),
)


class Died(BaseException):
    """A process ended here, in a test of one process."""


class Mortal:
    """A database whose process dies right before or after one of its commits."""

    def __init__(self, database: Database, at: str = "", *, die: Callable[[], None]) -> None:
        self._database = database
        self._at = at
        self._die = die
        self.commits = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @asynccontextmanager
    async def writing(self, *, reserved: bool = False) -> AsyncIterator[AsyncConnection]:
        """One write transaction."""
        async with self._database.writing(reserved=reserved) as connection:
            yield connection
            self.commits += 1
            self._meet_fate("before")
        self._meet_fate("after")

    def _meet_fate(self, where: str) -> None:
        if self._at == f"{where}:{self.commits}":
            self._die()


class Replica:
    """One process's view of the database: its own safe, and its own way through the records."""

    def __init__(self, database: Database, safe: Safe, *, batch: int) -> None:
        self.database = database
        self.safe = safe
        self.resealing = Resealing(database, safe, COLUMNS, head=HEAD, batch=batch)

    async def rotate(self, epoch: int) -> Progress:
        """Makes the key of an epoch and seals everything with it."""
        await self.resealing.renew(epoch)
        return await self.resealing.run(lambda _: None)

    async def put(self, owner: str, name: str, text: str) -> None:
        """Sets a record, as every writer does: the rows first, then the keyring."""
        same = (record.c.owner == owner, record.c.name == name)
        async with self.database.writing() as connection:
            held = await connection.scalar(select(record.c.name).where(*same).with_for_update())
            sealed = _sealed(await self.safe.sealer(connection), owner, name, text)
            if held is None:
                await connection.execute(insert(record).values(owner=owner, name=name, **sealed))
            else:
                await connection.execute(update(record).where(*same).values(sealed))

    async def texts(self) -> dict[tuple[str, str], str]:
        """Every record, opened."""
        async with self.database.reading() as connection:
            rows = (await connection.execute(select(record))).all()
        found = {}
        for row in rows:
            contexts = [each.context(row) for each in COLUMNS]
            opened = await self.safe.open(row.first, context=contexts[0])
            if row.second is not None:
                assert await self.safe.open(row.second, context=contexts[1]) == opened
            found[row.owner, row.name] = opened.decode()
        return found


@asynccontextmanager
async def replica_of(url: str, *, batch: int = 3) -> AsyncIterator[Replica]:
    """A replica with connections of its own."""
    async with open_database(url, schema=SCHEMA) as database:
        yield await opened(database, batch=batch)


async def opened(database: Database, *, batch: int = 3) -> Replica:
    """A replica on a database whose tables are there."""
    return Replica(database, await open_safe(database, data_key, ROOTS), batch=batch)


async def make_tables(database: Database) -> None:
    """Makes the tables where they are missing, and empties them."""
    async with database.writing() as connection:
        await connection.run_sync(metadata.create_all)
        for table in metadata.sorted_tables:
            await connection.execute(delete(table))


async def fill(database: Database, keyring: Keyring, texts: Mapping[str, str]) -> None:
    """Puts records there that this keyring seals: a third of them without their second column."""
    rows = [
        {"owner": "owner", "name": name, **_sealed(keyring, "owner", name, text, both=bool(number % 3))}
        for number, (name, text) in enumerate(texts.items())
    ]
    async with database.writing() as connection:
        await connection.execute(insert(record), rows)


async def key_ids(database: Database) -> set[str]:
    """The ids of all keys that records name, found by reading every record."""
    async with database.reading() as connection:
        rows = (await connection.execute(select(record.c.first, record.c.second))).all()
    return {sealed[1:9].hex() for row in rows for sealed in row if sealed is not None}


async def known_keys(database: Database) -> Sequence[str]:
    """The ids of the data keys that are kept."""
    async with database.reading() as connection:
        kept = select(data_key.c.id).where(data_key.c.purpose == "records")
        return (await connection.execute(kept)).scalars().all()


def _sealed(keyring: Keyring, owner: str, name: str, text: str, *, both: bool = True) -> dict[str, bytes | None]:
    first = keyring.seal(text.encode(), context=f"{owner}/{name}/first")
    second = keyring.seal(text.encode(), context=f"{owner}/{name}/second") if both else None
    return {"first": first, "second": second}


async def _main(url: str, epoch: int) -> None:
    async with open_database(url, schema=SCHEMA) as database:
        mortal: Any = Mortal(database, os.environ.get("SIGKILL_AT", ""), die=_kill)
        await (await opened(mortal)).rotate(epoch)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
