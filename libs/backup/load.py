"""A dump becomes a schema again: our own revisions make its tables, then its rows come in."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from itertools import takewhile
from pathlib import Path

import asyncpg

from libs.backup import postgresql
from libs.backup.dump import Contents, contents_of, frames
from libs.backup.errors import Damaged
from libs.backup.postgresql import Partition, connected, quoted
from libs.sql.engine import open_database
from libs.sql.migrations import migrate

_BOUND = re.compile(r"FOR VALUES FROM \((MINVALUE|-?\d+)\) TO \((MAXVALUE|-?\d+)\)")

Frames = Iterator[tuple[bytes, bytes]]


async def load_dump(url: str, schema: str, dump: Path, *, package: str) -> dict[str, int]:
    """Fills a schema that is not there yet; returns the rows of each table, counted anew.

    `package` are the migrations that make it. Raises Damaged, MigrationFailed, DatabaseUnavailable or CopyFailed.
    """
    contents = contents_of(dump)
    async with open_database(url, schema=schema) as database:
        if contents.revision:
            await migrate(database, package=package, head=contents.revision)
    async with connected(url, schema) as connection:
        async with connection.transaction():
            await _empty(connection, schema, contents)
            await _fill(connection, dump, contents)
            await _count_on(connection, contents)
        await connection.execute("ANALYZE")
        return {
            table: await connection.fetchval(f"SELECT count(*) FROM {quoted(table)}")  # noqa: S608 (a name of the schema)
            for table in contents.tables
        }


async def drop_schema(url: str, schema: str) -> None:
    """Takes a schema away, if it is there."""
    async with connected(url, schema) as connection:
        await connection.execute(f"DROP SCHEMA IF EXISTS {quoted(schema)} CASCADE")


async def _empty(connection: asyncpg.Connection, schema: str, contents: Contents) -> None:
    """Takes out what the revisions put in, and makes the partitions that they did not make."""
    there = await postgresql.tables(connection, schema)
    for table, columns in contents.tables.items():
        if not set(columns) <= set(there.get(table, ())):
            raise Damaged(f"table {table} is not what revision {contents.revision} makes")
    if there:
        await connection.execute(f"TRUNCATE {', '.join(map(quoted, there))}")
    made = {each.name for each in await postgresql.partitions(connection, schema)}
    for partition in contents.partitions:
        if partition.name not in made:
            await _make(connection, partition)


async def _make(connection: asyncpg.Connection, partition: Partition) -> None:
    if not _BOUND.fullmatch(partition.bound):
        raise Damaged(f"partition {partition.name} has no bounds that are known")
    parent = quoted(partition.parent)
    await connection.execute(f"CREATE TABLE {quoted(partition.name)} PARTITION OF {parent} {partition.bound}")


async def _fill(connection: asyncpg.Connection, dump: Path, contents: Contents) -> None:
    read = frames(dump)
    for kind, content in read:
        if kind == b"T":
            table = json.loads(content)["table"]
            columns = contents.tables[table]
            await connection.copy_to_table(table, source=_rows(read), columns=columns)


async def _rows(read: Frames) -> AsyncIterator[bytes]:
    for _, content in takewhile(lambda frame: frame[0] == b"D", read):
        yield content


async def _count_on(connection: asyncpg.Connection, contents: Contents) -> None:
    """Sequences go on where they were."""
    for name, value in contents.sequences.items():
        if value is not None:
            await connection.execute("SELECT setval($1::text::regclass, $2)", quoted(name), value)
