"""A connection for whole tables, and what a schema is made of."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import asyncpg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from libs.backup.errors import CopyFailed
from libs.sql.errors import StorageFull, translated
from libs.sql.url import place_of

APPLICATION = "lockgroove.backup"

_DISK_FULL = "53100"
# Tables with rows of their own; those of a partition are read through its parent.
_TABLES = """
    SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname
"""
_COLUMNS = """
    SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    ORDER BY a.attnum
"""
_PARTITIONS = """
    SELECT c.relname AS name, p.relname AS parent, pg_get_expr(c.relpartbound, c.oid) AS bound
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relispartition AND c.relkind = 'r' ORDER BY c.relname
"""
_SEQUENCES = "SELECT sequencename AS name, last_value AS value FROM pg_sequences WHERE schemaname = $1 ORDER BY 1"
_REFERENCES = """
    SELECT DISTINCT c.relname AS child, p.relname AS parent FROM pg_constraint k
    JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND k.contype = 'f' AND c.oid <> p.oid
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A table that holds a range of another one."""

    name: str
    parent: str
    bound: str


@asynccontextmanager
async def connected(url: str, schema: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own, which finds names in `schema`. Raises DatabaseUnavailable, StorageFull or CopyFailed."""
    settings = {"search_path": quoted(schema), "application_name": APPLICATION, "jit": "off"}
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": 10, "server_settings": settings})
    try:
        with _facts(place_of(url)):
            async with engine.connect() as connection:
                raw = await connection.get_raw_connection()
                driver = raw.driver_connection
                assert isinstance(driver, asyncpg.Connection)
                yield driver
    finally:
        await engine.dispose()


async def tables(connection: asyncpg.Connection, schema: str) -> dict[str, list[str]]:
    """The tables of a schema with their columns; not their partitions."""
    names = [row[0] for row in await connection.fetch(_TABLES, schema)]
    return {name: [row[0] for row in await connection.fetch(_COLUMNS, schema, name)] for name in names}


async def partitions(connection: asyncpg.Connection, schema: str) -> list[Partition]:
    """The partitions of a schema."""
    return [Partition(**row) for row in await connection.fetch(_PARTITIONS, schema)]


async def sequences(connection: asyncpg.Connection, schema: str) -> dict[str, int | None]:
    """The sequences of a schema with the number that each gave last."""
    return {row["name"]: row["value"] for row in await connection.fetch(_SEQUENCES, schema)}


async def parents_first(connection: asyncpg.Connection, schema: str, names: Sequence[str]) -> list[str]:
    """Tables in an order in which no row refers to one that is not there yet."""
    waiting = {name: set[str]() for name in names}
    for row in await connection.fetch(_REFERENCES, schema):
        if row["child"] in waiting and row["parent"] in waiting:
            waiting[row["child"]].add(row["parent"])
    ordered: list[str] = []
    while waiting:
        ready = sorted(name for name, parents in waiting.items() if not parents - set(ordered))
        if not ready:
            raise CopyFailed(f"tables of {schema} refer to each other in a circle: {', '.join(sorted(waiting))}")
        ordered.extend(ready)
        waiting = {name: parents for name, parents in waiting.items() if name not in ready}
    return ordered


def quoted(name: str) -> str:
    """A name as it stands in a statement."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def _facts(place: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise translated(error, place) or CopyFailed(f"{place} cannot be used: {type(error).__name__}") from error
    except asyncpg.PostgresError as error:
        if error.sqlstate == _DISK_FULL:
            raise StorageFull(f"the disk of {place} is full: free some space") from error
        raise CopyFailed(f"{place} cannot be copied: {type(error).__name__} ({error.sqlstate})") from error
    except (asyncpg.InterfaceError, ConnectionError) as error:
        raise CopyFailed(f"{place} cannot be copied: the connection was lost") from error
