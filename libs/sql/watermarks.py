"""Watermarks: how far something has come that goes on after restarts, or is done once in the whole suite."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Column, MetaData, Table, Text, select, update
from sqlalchemy.dialects import postgresql, sqlite

from libs.sql.engine import Database
from libs.sql.types import Json, UtcMillis, from_millis, now_ms


def watermark_table(metadata: MetaData) -> Table:
    """Adds the table of watermarks to a service's metadata."""
    return Table(
        "watermark",
        metadata,
        Column("name", Text, primary_key=True),
        Column("position", Json, nullable=False),
        Column("updated", UtcMillis, nullable=False),
    )


class SqlWatermarks:
    """Positions by name; what a position holds is known to its owner alone."""

    def __init__(self, database: Database, table: Table) -> None:
        self._database = database
        self._table = table
        self._insert: Any = postgresql.insert if database.dialect == "postgresql" else sqlite.insert

    async def find(self, name: str) -> Mapping[str, Any] | None:
        """The position; None before the first one."""
        async with self._database.reading() as connection:
            position: Mapping[str, Any] | None = await connection.scalar(
                select(self._table.c.position).where(self._table.c.name == name)
            )
        return position

    async def move(self, name: str, position: Mapping[str, Any]) -> None:
        """Set the position: only after everything before it is committed."""
        new = self._insert(self._table).values(name=name, position=dict(position), updated=now_ms())
        moved = new.on_conflict_do_update(
            index_elements=[self._table.c.name], set_={"position": new.excluded.position, "updated": now_ms()}
        )
        async with self._database.writing() as connection:
            await connection.execute(moved)

    async def read(self, name: str) -> tuple[Mapping[str, Any] | None, datetime]:
        """The position, None before the first one, and the time by the database's clock."""
        stored = select(self._table.c.position).where(self._table.c.name == name)
        async with self._database.reading() as connection:
            position = await connection.scalar(stored)
            now: int = (await connection.execute(select(now_ms()))).scalar_one()
        return position, from_millis(now)

    async def swap(self, name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> bool:
        """Set the position unless it is no longer what it was before; returns whether it is set."""
        stored = select(self._table.c.position).where(self._table.c.name == name).with_for_update()
        values = {"position": dict(after), "updated": now_ms()}
        first = self._insert(self._table).values(name=name, **values)
        async with self._database.writing() as connection:
            if before is None:
                made = first.on_conflict_do_nothing(index_elements=[self._table.c.name]).returning(self._table.c.name)
                return (await connection.execute(made)).first() is not None
            if await connection.scalar(stored) != before:
                return False
            await connection.execute(update(self._table).where(self._table.c.name == name).values(values))
        return True
