"""Schemas of PostgreSQL change places with those of a backup, all of them in one transaction."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from deploy.cli.backups.locks import AnotherIsAtIt
from deploy.cli.schema.databases import ServiceDatabase
from libs.backup.postgresql import connected, quoted

RESTORING = "_restoring"
"""What a schema is called, behind the name of the real one, while it is filled."""

_PATIENCE = "SET LOCAL lock_timeout = '10s'"
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('lockgroove backup', 0))"
_THERE = "SELECT 1 FROM pg_namespace WHERE nspname = $1"


async def swap_schemas(databases: Sequence[ServiceDatabase], *, stamp: str) -> list[str]:
    """Puts the filled schemas in place; returns what the old ones are called now."""
    kept = []
    async with connected(databases[0].url, "public") as connection, connection.transaction():
        await connection.execute(_PATIENCE)
        for where in databases:
            if await connection.fetchval(_THERE, where.schema):
                kept.append(f"{where.schema}_before_{stamp}")
                await connection.execute(f"ALTER SCHEMA {quoted(where.schema)} RENAME TO {quoted(kept[-1])}")
            filled = quoted(where.schema + RESTORING)
            await connection.execute(f"ALTER SCHEMA {filled} RENAME TO {quoted(where.schema)}")
    return kept


@asynccontextmanager
async def alone_in(url: str) -> AsyncIterator[None]:
    """Holds the lock of a PostgreSQL database; an SQLite file needs none. Raises AnotherIsAtIt."""
    if url.startswith("sqlite"):
        yield
        return
    async with connected(url, "public") as connection:
        if not await connection.fetchval(_LOCK):
            raise AnotherIsAtIt("another process backs this database up, or restores it: wait for it to end")
        yield
