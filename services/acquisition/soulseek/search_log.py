"""When searches were sent: in the service's database, or in memory."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Table, delete, insert, select

from libs.sql.engine import Database


class SqlSearchLog:
    """Remembers searches over restarts. At most a window's worth of rows is kept."""

    def __init__(self, database: Database, table: Table) -> None:
        self._database = database
        self._table = table

    async def since(self, moment: datetime) -> Sequence[datetime]:
        """When searches were sent from a moment on, oldest first."""
        sent: Column[Any] = self._table.c.sent
        async with self._database.reading() as connection:
            rows = await connection.execute(select(sent).where(sent >= moment).order_by(sent))
            return [row.sent for row in rows]

    async def add(self, moment: datetime, *, forget_before: datetime) -> None:
        """Remember a search, and forget what is older than the window."""
        async with self._database.writing() as connection:
            await connection.execute(delete(self._table).where(self._table.c.sent < forget_before))
            await connection.execute(insert(self._table).values(sent=moment))


class MemorySearchLog:
    """Forgets everything at the end of the process."""

    def __init__(self) -> None:
        self._sent: list[datetime] = []

    async def since(self, moment: datetime) -> Sequence[datetime]:
        """When searches were sent from a moment on, oldest first."""
        return self._sent[bisect_left(self._sent, moment) :]

    async def add(self, moment: datetime, *, forget_before: datetime) -> None:
        """Remember a search, and forget what is older than the window."""
        self._sent = self._sent[bisect_left(self._sent, forget_before) :]
        insort(self._sent, moment)
