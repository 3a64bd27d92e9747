"""What providers answered, kept so that nobody asks them twice; known absences are kept too, for a shorter time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import BigInteger, ColumnElement, Delete, Table, bindparam, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from libs.clock import Clock
from libs.sql.engine import Database
from libs.sql.types import duration_ms, now_ms

_SWEPT = 20  # answers whose time is over leave with each one that is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An object or a list of plain JSON values, or None for a known absence."""

    body: Any


class Answers(Protocol):
    """Remembers answers for as long as they hold."""

    async def find(self, provider: str, key: str) -> Answer | None:
        """What is remembered, if it still holds."""
        ...

    async def keep(self, provider: str, key: str, answer: Answer, *, ttl: timedelta) -> None:
        """Remember an answer for so long, in place of an older one."""
        ...


class SqlAnswers:
    """Answers in the service's database, over restarts. `now` is its clock in milliseconds, except in tests."""

    def __init__(self, database: Database, table: Table, *, now: ColumnElement[int] | None = None) -> None:
        self._database = database
        self._table = table
        self._now = now_ms() if now is None else now
        self._sweep = _sweep(table, self._now)
        self._keep = _keep(table, self._now, database.dialect)

    async def find(self, provider: str, key: str) -> Answer | None:
        """What is remembered, if it still holds."""
        table = self._table
        mine = (table.c.provider == provider) & (table.c.key == key)
        async with self._database.reading() as connection:
            row = (await connection.execute(select(table.c.body).where(mine, table.c.expires > self._now))).first()
        return None if row is None else Answer(body=row.body)

    async def keep(self, provider: str, key: str, answer: Answer, *, ttl: timedelta) -> None:
        """Remember an answer for so long, in place of an older one."""
        parameters = {"p_provider": provider, "p_key": key, "p_body": answer.body, "p_ttl": duration_ms(ttl)}
        async with self._database.writing() as connection:
            await connection.execute(self._keep, parameters)
            await connection.execute(self._sweep)  # last, and past what others hold: no two wait for each other


class MemoryAnswers:
    """Forgets everything at the end of the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str], tuple[Answer, datetime]] = {}

    async def find(self, provider: str, key: str) -> Answer | None:
        """What is remembered, if it still holds."""
        answer, expires = self._kept.get((provider, key), (None, self._clock.now()))
        return answer if expires > self._clock.now() else None

    async def keep(self, provider: str, key: str, answer: Answer, *, ttl: timedelta) -> None:
        """Remember an answer for so long, in place of an older one."""
        now = self._clock.now()
        self._kept = {place: kept for place, kept in self._kept.items() if kept[1] > now}
        self._kept[provider, key] = (answer, now + ttl)


def _keep(table: Table, now: ColumnElement[int], dialect: str) -> Any:
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(table).values(
        provider=bindparam("p_provider", type_=table.c.provider.type),
        key=bindparam("p_key", type_=table.c.key.type),
        body=bindparam("p_body", type_=table.c.body.type),
        stored=now,
        expires=now + bindparam("p_ttl", type_=BigInteger),
    )
    newer = {name: statement.excluded[name] for name in ("body", "stored", "expires")}
    return statement.on_conflict_do_update(index_elements=[table.c.provider, table.c.key], set_=newer)


def _sweep(table: Table, now: ColumnElement[int]) -> Delete:
    """A few at a time, and none that another replica is about to delete."""
    place = tuple_(table.c.provider, table.c.key)
    over = select(table.c.provider, table.c.key).where(table.c.expires <= now).order_by(table.c.expires).limit(_SWEPT)
    return delete(table).where(place.in_(over.with_for_update(skip_locked=True)))
