"""Watermarks: how far something that is done once in the whole suite has come."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from libs.sql.engine import Database
from libs.sql.types import from_millis, now_ms
from services.webhooks.tables import watermark

Position = Mapping[str, Any]

# Both know ON CONFLICT, but have no common type that does.
_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class SqlWatermarks:
    """The watermarks of the inbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, name: str) -> tuple[Position | None, datetime]:
        """A watermark, None before there is one, and the time by the database's clock."""
        stored = select(watermark.c.position).where(watermark.c.name == name)
        async with self._database.reading() as connection:
            position = await connection.scalar(stored)
            now: int = (await connection.execute(select(now_ms()))).scalar_one()
        return position, from_millis(now)

    async def swap(self, name: str, before: Position | None, after: Position) -> bool:
        """Sets a watermark unless it is no longer what it was before; returns whether it did."""
        stored = select(watermark.c.position).where(watermark.c.name == name).with_for_update()
        values = {"position": dict(after), "updated": now_ms()}
        first = _INSERTS[self._database.dialect](watermark).values(name=name, **values)
        async with self._database.writing() as connection:
            if before is None:
                made = first.on_conflict_do_nothing(index_elements=[watermark.c.name]).returning(watermark.c.name)
                return (await connection.execute(made)).first() is not None
            if await connection.scalar(stored) != before:
                return False
            await connection.execute(update(watermark).where(watermark.c.name == name).values(values))
        return True
