"""Kima's PostgreSQL database: read in one transaction that cannot write, every value as text, a portion at a time."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias, cast, get_args

import asyncpg
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from deploy.cli.exits import Exit
from libs.errors import FailedPrecondition, InvalidArgument, Unavailable

Values = dict[str, str | None]
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"  # generic for type checkers alone
Encryption = Literal["disable", "prefer", "allow", "require", "verify-ca", "verify-full"]

PORTION = 200  # rows at once
_DRIVERS = frozenset({"postgres", "postgresql"})
_CONNECT_SECONDS = 10
_LONGEST = (1 << 20) + 1  # characters of a value that are read: those that are longer are found out by that


class KimaUnreachable(Unavailable):
    """Kima's database does not answer, or not any more."""

    reason = "KIMA_UNREACHABLE"


class NotKima(FailedPrecondition):
    """The database is none of Kima's."""

    reason = "NOT_KIMA"
    exit_status = Exit.REFUSED


class KimaDatabase:
    """One snapshot of the database: what Kima writes meanwhile is not seen."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._schema = schema

    async def require(self, tables: Sequence[str]) -> None:
        """Raises NotKima where one of the tables is not there."""
        for table in tables:
            if "id" not in await self.columns(table):
                raise NotKima(f'there is no table "{table}" with ids: is this the database of a Kima 1.5?')

    async def columns(self, table: str) -> list[str]:
        """The columns of a table, none where there is no such table."""
        rows = await self._connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2 "
            "ORDER BY ordinal_position",
            self._schema,
            table,
        )
        return [row[0] for row in rows]

    async def portions(self, table: str, columns: Sequence[str]) -> AsyncIterator[list[Values]]:
        """The rows of a table by their ids, some at a time; columns that it lacks are left out."""
        cursor = await self._connection.cursor(f"{await self._select(table, columns)} ORDER BY id")
        while rows := await cursor.fetch(PORTION):
            yield [dict(row) for row in rows]

    async def jobs_of(self, table: str, columns: Sequence[str], batches: Sequence[str]) -> list[Values]:
        """The jobs of some batches."""
        statement = f'{await self._select(table, columns)} WHERE "discoveryBatchId" = ANY($1) ORDER BY id'
        return [dict(row) for row in await self._connection.fetch(statement, list(batches))]

    async def names_of_users(self) -> dict[str, str]:
        """Users' names by their ids; empty where they cannot be read."""
        if not {"id", "username"} <= set(await self.columns("User")):
            return {}
        rows = await self._connection.fetch(f'SELECT id::text, username::text FROM "{self._schema}"."User"')  # noqa: S608
        return {row[0]: row[1] for row in rows}

    async def _select(self, table: str, columns: Sequence[str]) -> str:
        there = await self.columns(table)
        wanted = ", ".join(f'left("{column}"::text, {_LONGEST}) AS "{column}"' for column in columns if column in there)
        return f'SELECT {wanted} FROM "{self._schema}"."{table}"'  # noqa: S608 - names of ours, and of columns


@asynccontextmanager
async def open_kima(url: str) -> AsyncIterator[KimaDatabase]:
    """Opens the database. Raises InvalidArgument, KimaUnreachable or NotKima; none of them shows the password."""
    parsed = _parsed(url)
    schema = str(parsed.query.get("schema", "public"))
    if not schema.replace("_", "").isalnum():
        raise _wrong(f"schema {schema!r} is no plain name")
    try:
        connection = await _connect(parsed)
    except (OSError, asyncpg.InterfaceError) as error:
        raise KimaUnreachable(f"{_place(parsed)} does not answer: is the address right, and PostgreSQL up?") from error
    except asyncpg.PostgresError as error:
        raise _refusing(parsed, error) from error
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield KimaDatabase(connection, schema)
    except asyncpg.InterfaceError as error:
        raise KimaUnreachable(f"{_place(parsed)} has gone away: import again, it goes on there") from error
    except asyncpg.PostgresError as error:
        raise _refusing(parsed, error) from error
    finally:
        connection.terminate()  # nothing was written, so nothing is left to say


def _refusing(url: URL, error: asyncpg.PostgresError) -> KimaUnreachable:
    return KimaUnreachable(f"{_place(url)} says: {str(error).partition(chr(10))[0]}")


async def _connect(url: URL) -> Connection:
    settings = {"TimeZone": "UTC", "DateStyle": "ISO", "application_name": "lockgroove import kima"}
    settings["default_transaction_read_only"] = "on"
    return await asyncpg.connect(
        host=url.host,
        port=url.port or 5432,
        user=url.username,
        password=url.password,
        database=url.database,
        ssl=_encryption(url),
        timeout=_CONNECT_SECONDS,
        statement_cache_size=0,  # for poolers between us
        server_settings=settings,
    )


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url.strip())
    except (ArgumentError, ValueError):
        raise _wrong("this is not a URL: use postgresql://user:password@host/database") from None
    if parsed.drivername not in _DRIVERS or not (parsed.host and parsed.database):
        raise _wrong("use postgresql://user:password@host/database, as Kima's DATABASE_URL")
    return parsed


def _encryption(url: URL) -> Encryption:
    given = url.query.get("sslmode", "prefer")
    for mode in get_args(Encryption):
        if given == mode:
            return cast(Encryption, mode)
    raise _wrong(f"sslmode {given!r} is none of {', '.join(get_args(Encryption))}")


def _place(url: URL) -> str:
    return f"Kima's database {url.database} at {url.host}:{url.port or 5432}"


def _wrong(description: str) -> InvalidArgument:
    return InvalidArgument.field("KIMA_DATABASE_URL", description)
