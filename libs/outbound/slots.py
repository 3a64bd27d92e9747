"""Turns at providers: whoever takes one calls no sooner, so that all replicas together keep a provider's limit."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import BigInteger, ColumnElement, Select, Table, Text, bindparam, case, or_, select, type_coerce
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert

from libs.clock import Clock
from libs.outbound.errors import ProviderBusy
from libs.sql.engine import Database
from libs.sql.types import duration_ms, from_millis, now_ms

FARTHEST = timedelta(hours=2)
"""No turn is given or put off so far: beyond, the clock was set back, and what it said before counts no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """When a call may be made, and how long that is from now."""

    at: datetime
    wait: timedelta


class CallSlots(Protocol):
    """Who may call which provider when."""

    async def take(self, provider: str, *, interval: timedelta, patience: timedelta) -> Turn:
        """The next turn, `interval` after the one before; raises ProviderBusy, and takes none, beyond `patience`."""
        ...

    async def postpone(self, provider: str, by: timedelta) -> None:
        """No turn from now on until so much time has passed."""
        ...


class SqlCallSlots:
    """Turns in the service's database, by its clock. `now` is that clock in milliseconds, except in tests."""

    def __init__(self, database: Database, table: Table, *, now: ColumnElement[int] | None = None) -> None:
        now = now_ms() if now is None else now
        self._database = database
        self._take = _take(table, now, database.dialect)
        self._postpone = _postpone(table, now, database.dialect)
        self._wait = _wait(table, now)

    async def take(self, provider: str, *, interval: timedelta, patience: timedelta) -> Turn:
        """The next turn, `interval` after the one before; raises ProviderBusy, and takes none, beyond `patience`."""
        parameters: dict[str, Any] = {"p_provider": provider, "p_interval": duration_ms(interval)}
        parameters["p_patience"] = duration_ms(patience)
        async with self._database.writing() as connection:
            row = (await connection.execute(self._take, parameters)).first()
            if row is None:
                wait = await connection.scalar(self._wait, {"p_provider": provider})
                raise _busy(provider, timedelta(milliseconds=max(0, wait or 0)))
        return Turn(at=from_millis(row.at), wait=timedelta(milliseconds=max(0, row.wait)))

    async def postpone(self, provider: str, by: timedelta) -> None:
        """No turn from now on until so much time has passed."""
        async with self._database.writing() as connection:
            await connection.execute(self._postpone, {"p_provider": provider, "p_by": duration_ms(by)})


class MemoryCallSlots:
    """Turns of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next: dict[str, datetime] = {}

    async def take(self, provider: str, *, interval: timedelta, patience: timedelta) -> Turn:
        """The next turn, `interval` after the one before; raises ProviderBusy, and takes none, beyond `patience`."""
        now = self._clock.now()
        at = self._next.get(provider, now)
        at = at if now < at <= now + FARTHEST else now
        if at > now + patience:
            raise _busy(provider, at - now)
        self._next[provider] = at + interval
        return Turn(at=at, wait=at - now)

    async def postpone(self, provider: str, by: timedelta) -> None:
        """No turn from now on until so much time has passed."""
        until = self._clock.now() + by
        self._next[provider] = max(until, self._next.get(provider, until))


def _busy(provider: str, wait: timedelta) -> ProviderBusy:
    metadata: Mapping[str, str] = {"provider": provider}
    return ProviderBusy(f"{provider} cannot be called just now", metadata=metadata, retry_after=wait)


def _take(table: Table, now: ColumnElement[int], dialect: str) -> Insert:
    """One statement: the row's lock is the queue, and two replicas never get the same turn."""
    interval = bindparam("p_interval", type_=BigInteger)
    latest, farthest = now + bindparam("p_patience", type_=BigInteger), now + duration_ms(FARTHEST)
    taken = type_coerce(table.c.next, BigInteger) - interval
    upsert: Insert = (
        _insert(table, now + interval, dialect)
        .on_conflict_do_update(
            index_elements=[table.c.provider],
            set_={"next": case((table.c.next > farthest, now), else_=_later(table.c.next, now)) + interval},
            where=or_(table.c.next <= latest, table.c.next > farthest),
        )
        .returning(taken.label("at"), (taken - now).label("wait"))
    )
    return upsert


def _postpone(table: Table, now: ColumnElement[int], dialect: str) -> Insert:
    until = now + bindparam("p_by", type_=BigInteger)
    upsert: Insert = _insert(table, until, dialect).on_conflict_do_update(
        index_elements=[table.c.provider], set_={"next": _later(table.c.next, until)}
    )
    return upsert


def _wait(table: Table, now: ColumnElement[int]) -> Select[Any]:
    provider = bindparam("p_provider", type_=Text)
    return select(type_coerce(table.c.next, BigInteger) - now).where(table.c.provider == provider)


def _insert(table: Table, first: ColumnElement[int], dialect: str) -> Any:
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).values(provider=bindparam("p_provider", type_=Text), next=first)


def _later(one: ColumnElement[Any], other: ColumnElement[int]) -> ColumnElement[Any]:
    """The later of two moments: neither name of that function is known to both databases."""
    return case((one > other, type_coerce(one, BigInteger)), else_=other)
