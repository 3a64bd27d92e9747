"""Named leases in the database that owns what they protect: one statement an operation, the database's clock."""

import random
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    Select,
    Table,
    Text,
    Update,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import Insert

from libs.leases.errors import LeaseHeld, LeaseLost
from libs.leases.lease import Lease
from libs.sql.engine import Database
from libs.sql.types import duration_ms, from_millis, now_ms

_JITTER = timedelta(milliseconds=500)
_MOST_NAMES = 500  # in one statement
_random = random.SystemRandom()


class SqlLeaseStore:
    """Who holds what. `now` is the database's clock in milliseconds, except in tests.

    Renewals take the connection that waits behind nobody; whoever wants a lease waits his turn.
    """

    def __init__(self, database: Database, table: Table, *, now: ColumnElement[int] | None = None) -> None:
        self._database = database
        self._table = table
        self._now = now_ms() if now is None else now
        self._acquire = _acquire(table, self._now, database.dialect)
        self._renew = _renew(table, self._now)
        self._release = _release(table)
        self._left = type_coerce(table.c.expires, BigInteger) - self._now
        # As ids and page tokens are ordered: PostgreSQL's own order follows a locale.
        self._name = table.c.name.collate("C") if database.dialect == "postgresql" else table.c.name

    async def acquire(self, name: str, holder: str, ttl: timedelta) -> Lease:
        """Takes a lease that is free or has expired, with the next fence; raises LeaseHeld.

        Acquiring again with the same holder extends a live lease under the same fence: a lost answer does no harm.
        """
        parameters = {"p_name": name, "p_holder": holder, "p_ttl": duration_ms(ttl)}
        async with self._database.writing() as connection:
            row = (await connection.execute(self._acquire, parameters)).first()
            if row is None:
                raise await self._held(connection, name)
        return Lease(name=name, holder=holder, fence=row.fence, expires_at=row.expires, remaining=ttl)

    async def renew(self, lease: Lease, ttl: timedelta) -> Lease:
        """Extends a lease that is still held; raises LeaseLost."""
        parameters = _parameters(lease) | {"p_ttl": duration_ms(ttl)}
        async with self._database.writing(reserved=True) as connection:
            row = (await connection.execute(self._renew, parameters)).first()
        if row is None:
            raise LeaseLost(f"the lease {lease.name} was lost", metadata={"lease": lease.name})
        return replace(lease, expires_at=row.expires, remaining=ttl)

    async def release(self, lease: Lease) -> None:
        """Frees a lease at once; one that was lost is left to its new holder."""
        async with self._database.writing() as connection:
            await connection.execute(self._release, _parameters(lease))

    async def find(self, name: str) -> Lease | None:
        """The lease as it stands, free or not; None when it was never held."""
        return next(iter(await self.find_many([name])), None)

    async def find_many(self, names: Collection[str]) -> list[Lease]:
        """As `find`, for many, in no order; those that were never held are left out."""
        wanted, found = list(names), list[Lease]()
        async with self._database.reading() as connection:
            for start in range(0, len(wanted), _MOST_NAMES):
                some = self._table.c.name.in_(wanted[start : start + _MOST_NAMES])
                found += [_lease(row) for row in await connection.execute(self._reading().where(some))]
        return found

    async def list(self, *, prefix: str = "", after: str = "", held: bool = False, limit: int) -> list[Lease]:
        """Leases behind the name `after` whose names begin with `prefix`, in the order of their names."""
        statement = self._reading().where(self._name > after).order_by(self._name).limit(limit)
        if prefix:
            statement = statement.where(func.substr(self._table.c.name, 1, len(prefix)) == prefix)
        if held:
            statement = statement.where(self._table.c.holder.is_not(None), self._table.c.expires > self._now)
        async with self._database.reading() as connection:
            return [_lease(row) for row in await connection.execute(statement)]

    async def guard(self, connection: AsyncConnection, lease: Lease) -> None:
        """Goes before a protected write, in its transaction; raises LeaseLost for a fence that is not the newest.

        Nobody can take the lease over before that transaction ends.
        """
        newest = select(self._table.c.fence).where(self._table.c.name == lease.name).with_for_update(read=True)
        if await connection.scalar(newest) != lease.fence:
            raise LeaseLost(f"the lease {lease.name} was lost")

    async def revoke(self, *, by: int = 1_000_000) -> None:
        """Frees all leases and raises all fences: after a backup was restored, an older history might repeat them."""
        free = {"holder": None, "expires": from_millis(0), "fence": self._table.c.fence + by}
        async with self._database.writing() as connection:
            await connection.execute(update(self._table).values(free))

    async def _held(self, connection: AsyncConnection, name: str) -> LeaseHeld:
        left = select(self._left).where(self._table.c.name == name)
        milliseconds = max(0, await connection.scalar(left) or 0)
        after = timedelta(milliseconds=milliseconds) + _JITTER * _random.random()
        return LeaseHeld(f"the lease {name} is held by another", metadata={"lease": name}, retry_after=after)

    def _reading(self) -> Select[Any]:
        return select(self._table, self._left.label("left"))


def _acquire(table: Table, now: ColumnElement[int], dialect: str) -> Insert:
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(table).values(
        name=bindparam("p_name", type_=Text), holder=bindparam("p_holder", type_=Text), fence=1, expires=_until(now)
    )
    same = table.c.holder == statement.excluded.holder
    fence = table.c.fence + case((and_(same, table.c.expires > now), 0), else_=1)
    upsert: Insert = statement.on_conflict_do_update(
        index_elements=[table.c.name],
        set_={"holder": statement.excluded.holder, "expires": statement.excluded.expires, "fence": fence},
        where=or_(table.c.holder.is_(None), same, table.c.expires <= now),
    ).returning(table.c.fence, table.c.expires)
    return upsert


def _renew(table: Table, now: ColumnElement[int]) -> Update:
    held = and_(_mine(table), table.c.expires > now)
    return update(table).where(held).values(expires=_until(now)).returning(table.c.expires)


def _release(table: Table) -> Update:
    return update(table).where(_mine(table)).values(holder=None, expires=from_millis(0))


def _mine(table: Table) -> ColumnElement[bool]:
    return and_(
        table.c.name == bindparam("p_name", type_=Text),
        table.c.holder == bindparam("p_holder", type_=Text),
        table.c.fence == bindparam("p_fence", type_=BigInteger),
    )


def _until(now: ColumnElement[int]) -> ColumnElement[int]:
    return now + bindparam("p_ttl", type_=BigInteger)


def _lease(row: Row[Any]) -> Lease:
    """The lease as it stands at the time of the read: what has expired is free."""
    held = row.holder is not None and row.left > 0
    return Lease(
        name=row.name,
        holder=row.holder if held else None,
        fence=row.fence,
        expires_at=row.expires,
        remaining=timedelta(milliseconds=row.left) if held else timedelta(),
    )


def _parameters(lease: Lease) -> dict[str, Any]:
    return {"p_name": lease.name, "p_holder": lease.holder, "p_fence": lease.fence}
