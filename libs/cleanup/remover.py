"""What removes one kind of old things, and the one that most kinds need: rows of a table, a bounded step each time."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Column, ColumnElement, Table, delete, func, select, tuple_

from libs.sql.engine import Database

STEP = 200  # rows a transaction: on SQLite others wait for its end


class Remover(Protocol):
    """Removes one kind of old things. `now` is the database's clock, as it was when the run began."""

    @property
    def kind(self) -> str:
        """What it removes: `events`, `rejections`."""
        ...

    @property
    def rule(self) -> str:
        """For how long they are kept, in words: `30 days after they ended`. Raises AppError while that is not known."""
        ...

    @property
    def tables(self) -> frozenset[str]:
        """Whose rows leave by it, those that leave along with others among them."""
        ...

    async def count(self, now: datetime) -> int:
        """How many it would remove; raises AppError."""
        ...

    def remove(self, now: datetime) -> AsyncIterator[int]:
        """Removes them, a bounded step each time, and says how many. Raises AppError: what is gone stays gone."""
        ...


class OldRows:
    """Rows of a table, as soon as `old` holds for them."""

    def __init__(
        self,
        database: Database,
        table: Table,
        old: Callable[[datetime], ColumnElement[bool]],
        *,
        kind: str,
        rule: Callable[[], str],
    ) -> None:
        self._database = database
        self._table = table
        self._old = old
        self._rule = rule
        self.kind = kind
        self.tables = frozenset([table.name])

    @property
    def rule(self) -> str:
        """For how long they are kept."""
        return self._rule()

    async def count(self, now: datetime) -> int:
        """How many are old."""
        async with self._database.reading() as connection:
            counted = select(func.count()).select_from(self._table).where(self._old(now))
            return int((await connection.execute(counted)).scalar_one())

    async def remove(self, now: datetime) -> AsyncIterator[int]:
        """Removes those that are old."""
        while count := await self._step(self._old(now)):
            yield count

    async def _step(self, old: ColumnElement[bool]) -> int:
        key: list[Column[Any]] = list(self._table.primary_key)
        some = select(*key).where(old).limit(STEP)
        async with self._database.writing() as connection:
            return (await connection.execute(delete(self._table).where(tuple_(*key).in_(some), old))).rowcount
