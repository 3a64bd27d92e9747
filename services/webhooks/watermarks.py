"""Watermarks: how far something has been read that others write, kept beside what came of it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from libs.sql.engine import Database
from libs.sql.types import now_ms
from services.webhooks.tables import watermark


class SqlWatermarks:
    """Positions by name; what a position holds is known to its owner alone."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert: Any = postgresql.insert if database.dialect == "postgresql" else sqlite.insert

    async def find(self, name: str) -> Mapping[str, Any] | None:
        """The position; None before the first one."""
        async with self._database.reading() as connection:
            position: Mapping[str, Any] | None = await connection.scalar(
                select(watermark.c.position).where(watermark.c.name == name)
            )
        return position

    async def move(self, name: str, position: Mapping[str, Any]) -> None:
        """Set the position: only after everything before it is committed."""
        new = self._insert(watermark).values(name=name, position=dict(position), updated=now_ms())
        moved = new.on_conflict_do_update(
            index_elements=[watermark.c.name], set_={"position": new.excluded.position, "updated": now_ms()}
        )
        async with self._database.writing() as connection:
            await connection.execute(moved)
