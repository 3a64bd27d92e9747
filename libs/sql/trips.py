"""SQLite connections that pay one trip to their thread for a statement: the driver's own pay one for each part of it.

A commit of few rows has a dozen statements, and a trip costs more than most of them.
"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import aiosqlite


class OneTripConnection(aiosqlite.Connection):
    """As the driver's, with cursors that read all rows at once."""

    def cursor(self) -> "OneTripCursor":  # type: ignore[override] # what SQLAlchemy uses of a cursor
        """A new cursor; it costs nothing before its first statement."""
        return OneTripCursor(self)

    async def trip(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Does something in the connection's thread."""
        await self._execute(work, self._conn)  # type: ignore[no-untyped-call] # aiosqlite's own door to its thread

    def __del__(self) -> None:
        """Ends its thread without a word: of connections that nobody gave back, SQLAlchemy tells by itself."""
        if self._connection is not None:
            self.stop()


class OneTripCursor:
    """Makes a cursor, executes, reads and closes in one go."""

    description: Any = None
    rowcount = -1
    lastrowid: int | None = None

    def __init__(self, connection: OneTripConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []

    async def __aenter__(self) -> "OneTripCursor":
        return self

    async def execute(self, statement: str, parameters: Any = ()) -> None:
        """Executes a statement and reads its rows."""
        await self._connection.trip(partial(self._do, sqlite3.Cursor.execute, statement, parameters))

    async def executemany(self, statement: str, parameters: Sequence[Any]) -> None:
        """Executes a statement without rows for each of the parameters."""
        await self._connection.trip(partial(self._do, sqlite3.Cursor.executemany, statement, parameters))

    async def fetchall(self) -> list[Any]:
        """The rows that were read."""
        return self._rows

    async def close(self) -> None:
        """It is closed."""

    def _do(self, execute: Callable[..., Any], statement: str, parameters: Any, connection: sqlite3.Connection) -> None:
        cursor = connection.cursor()
        try:
            execute(cursor, statement, parameters)
            self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid
            self._rows = cursor.fetchall() if cursor.description else []
            if self._rows:  # counted while they are read
                self.rowcount = cursor.rowcount
        finally:
            cursor.close()


def connect(path: str, **options: Any) -> OneTripConnection:
    """A connection to be awaited, as `aiosqlite.connect` makes it."""
    connection = OneTripConnection(partial(sqlite3.connect, path, **options), iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy has it: a process need not wait for it
    return connection
