"""The changes of jobs, numbered in the order of their commits: what Watch streams follow and an audit reads.

A reader that has seen number n must never find a smaller one later. SQLite has one writer at a time. On PostgreSQL a
sequence counts in the order of the inserts, not of the commits, so appending takes a lock until the commit; it is the
last thing of each transaction, so the lock is held shortly and nobody who holds it waits for another lock.
"""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import Database, before_commit
from libs.sql.types import now_ms
from libs.work.chain import Chain
from libs.work.job import Event
from libs.work.tables import WorkTables

Change = Mapping[str, Any]

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 2))")


class SqlOutbox:
    """The events of one service's jobs; with a `chain_key` each commit adds a step to the hash chain over them.

    All outboxes of one database have the same key, or none.
    """

    def __init__(
        self,
        database: Database,
        tables: WorkTables,
        *,
        now: ColumnElement[int] | None = None,
        chain_key: bytes | None = None,
    ) -> None:
        now = now_ms() if now is None else now
        self._database = database
        self._table = tables.event
        self._insert = insert(tables.event).values(at=now)
        self._chain = None if chain_key is None else Chain(tables, chain_key, now=now)
        self._waiting: WeakKeyDictionary[AsyncConnection, list[Change]] = WeakKeyDictionary()

    def append(self, connection: AsyncConnection, change: Change) -> None:
        """Records a change when the transaction commits."""
        waiting = self._waiting.get(connection)
        if waiting is None:
            waiting = self._waiting[connection] = []
            before_commit(connection, self._flush)
        waiting.append(change)

    async def after(self, seq: int, limit: int) -> list[Event]:
        """The events after number `seq`, oldest first."""
        statement = select(self._table).where(self._table.c.seq > seq).order_by(self._table.c.seq).limit(limit)
        async with self._database.reading() as connection:
            return [Event(**row) for row in (await connection.execute(statement)).mappings()]

    async def last(self) -> int:
        """The newest number, 0 at first: read it before the current rows, then follow with `after`."""
        async with self._database.reading() as connection:
            return await connection.scalar(select(func.max(self._table.c.seq))) or 0

    async def _flush(self, connection: AsyncConnection) -> None:
        if connection.dialect.name == "postgresql":
            await connection.execute(_LOCK)
        changes = self._waiting.pop(connection)
        if self._chain is None:
            await connection.execute(self._insert, changes)
        else:
            await self._chain.append(connection, changes)
