"""Sealing stored secrets anew with the newest data key, while everybody reads and writes them.

Nothing is kept about how far it has come but the records themselves: each names its key. So a restart and every other
replica see the same progress, and whoever begins goes on where the last one ended.

Why nothing is lost, whoever else is at work and whenever the process dies:

- A batch is one transaction that locks its rows, or on SQLite the database, before it reads them. Rows that somebody
  else has locked are left for the next round: replicas share the work, and never wait for each other or for writers.
- Who writes a secret holds the newest data key until the end of the transaction (`Safe.sealer`), so that no key can be
  forgotten under a record that is not committed yet.
- Older keys are forgotten in a transaction that holds the newest one for itself, and then has found no older record.
- A record that cannot be opened stays as it is, and so do the older keys: it might still be one of theirs.
- Where a newer release has been at the schema, an older one forgets no key: it may not know of all records.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Row, Select, Table, Update, bindparam, case, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.crypto.datakeys import DataKey
from libs.crypto.keyring import ID_BYTES, Keyring, Tampered, WrongKey
from libs.crypto.safe import Safe
from libs.sql.engine import Database
from libs.sql.migrations import revision
from libs.telemetry.logger import get_logger

log = get_logger()

BATCH = 500
TELL_SECONDS = 1.0  # between two counts of the records while it runs

_RETRY_SECONDS = 0.1  # until rows that somebody else had locked are tried again
_ID_PLACE = 2  # in a record: the key's id follows the version


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedColumn:
    """Where sealed records are kept; `context` says of a row what its record is bound to."""

    column: Column[Any]
    context: Callable[[Row[Any]], str]

    @property
    def table(self) -> Table:
        """The table that it belongs to."""
        return self.column.table

    def place(self, row: Row[Any]) -> str:
        """The record of a row, as the log names it."""
        keys = ", ".join(str(row._mapping[key]) for key in self.table.primary_key)
        return f"{self.table.name}.{self.column.name} of {keys}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How many records there are, how many of them are sealed with the active data key, and how many nobody can open.

    What cannot be opened is known from the last round of this process.
    """

    key_id: str
    key_created_at: datetime
    epoch: int
    done: int
    unreadable: int
    total: int

    @property
    def is_current(self) -> bool:
        """Whether all that can be opened is sealed with the key."""
        return self.done + self.unreadable >= self.total


Told = Callable[[Progress], None]


class Resealing:
    """Seals the records of one database anew; `head` is the revision of the schema that has just these columns."""

    def __init__(
        self, database: Database, safe: Safe, columns: Sequence[SealedColumn], *, head: str, batch: int = BATCH
    ) -> None:
        self._database = database
        self._safe = safe
        self._columns = columns
        self._head = head
        self._batch = batch
        self._logged: set[str] = set()

    async def renew(self, epoch: int) -> None:
        """Makes a new data key unless there is one of this epoch; from now on secrets are sealed with it."""
        if await self._safe.renew(epoch):
            log.info("data_key.made", epoch=epoch)

    async def run(self, told: Told) -> Progress:
        """Goes round until nothing older is left but what cannot be opened; `told` hears of it on the way.

        Raises DatabaseUnavailable; to run it again is to go on.
        """
        while True:
            unreadable = await self._round(told)
            progress = await self._finish(unreadable)
            told(progress)
            if progress.is_current:
                return progress
            await asyncio.sleep(_RETRY_SECONDS)

    async def progress(self, unreadable: int = 0) -> Progress:
        """How far it has come, whoever did it; so many records were found to be unreadable."""
        async with self._database.reading() as connection:
            return await self._counted(connection, await self._safe.newest(connection), unreadable)

    async def _round(self, told: Told) -> int:
        """Once through all records; returns how many of them could not be opened."""
        unreadable, counted = 0, time.monotonic()
        for sealed in self._columns:
            after: Row[Any] | None = None
            while batch := await self._step(sealed, after):
                after = batch.last
                unreadable += batch.unreadable
                if time.monotonic() >= counted + TELL_SECONDS:
                    told(await self.progress(unreadable))
                    counted = time.monotonic()
        return unreadable

    async def _step(self, sealed: SealedColumn, after: Row[Any] | None) -> "_Batch | None":
        """Seals the next records anew; None where there are no more."""
        async with self._database.writing() as connection:
            keyring = await self._safe.sealer(connection)
            rows = (await connection.execute(self._older(sealed, keyring.current_id, after))).all()
            if not rows:
                return None
            records = [(row, self._resealed(sealed, row, keyring)) for row in rows]
            renewed = [_parameters(sealed, row, record) for row, record in records if record is not None]
            if renewed:
                await connection.execute(_update(sealed), renewed)
        return _Batch(last=rows[-1], unreadable=len(rows) - len(renewed))

    def _older(self, sealed: SealedColumn, key_id: bytes, after: Row[Any] | None) -> Select[Any]:
        keys = tuple(sealed.table.primary_key)
        older = select(sealed.table).where(sealed.column.is_not(None), ~_sealed_with(sealed, key_id))
        if after is not None:
            older = older.where(tuple_(*keys) > tuple_(*(after._mapping[key] for key in keys)))
        return older.order_by(*keys).limit(self._batch).with_for_update(skip_locked=True)

    def _resealed(self, sealed: SealedColumn, row: Row[Any], keyring: Keyring) -> bytes | None:
        context = sealed.context(row)
        try:
            plaintext = keyring.open(row._mapping[sealed.column], context=context)
        except (WrongKey, Tampered) as error:
            self._log_once(sealed.place(row), error.code_reason)
            return None
        return keyring.seal(plaintext, context=context)

    def _log_once(self, place: str, reason: str) -> None:
        if place not in self._logged:
            self._logged.add(place)
            log.error("secret.unreadable", place=place, reason=reason, remedy="set it again")

    async def _finish(self, unreadable: int) -> Progress:
        """Forgets the older keys if nothing is sealed with them."""
        async with self._database.writing() as connection:
            key = await self._safe.hold(connection)
            progress = await self._counted(connection, key, unreadable)
            all_done = progress.done == progress.total and await revision(connection) <= self._head
            forgotten = await self._safe.forget_older(connection) if all_done else 0
        if forgotten:
            log.info("data_keys.forgotten", count=forgotten, epoch=key.epoch, records=progress.total)
        return progress

    async def _counted(self, connection: AsyncConnection, key: DataKey, unreadable: int) -> Progress:
        done = total = 0
        for sealed in self._columns:
            current = func.count(case((_sealed_with(sealed, key.id), 1)))
            row = (await connection.execute(select(current, func.count(sealed.column)))).one()
            done, total = done + row[0], total + row[1]
        return Progress(
            key_id=key.id.hex(),
            key_created_at=key.created_at,
            epoch=key.epoch,
            done=done,
            unreadable=min(unreadable, total - done),
            total=total,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    last: Row[Any]
    unreadable: int


def _sealed_with(sealed: SealedColumn, key_id: bytes) -> ColumnElement[bool]:
    named = func.substr(sealed.column, _ID_PLACE, ID_BYTES, type_=sealed.column.type)
    return named == key_id


def _update(sealed: SealedColumn) -> Update:
    same = [key == bindparam(f"key_{key.name}") for key in sealed.table.primary_key]
    return update(sealed.table).where(*same).values({sealed.column: bindparam("record")})


def _parameters(sealed: SealedColumn, row: Row[Any], record: bytes) -> dict[str, Any]:
    return {"record": record} | {f"key_{key.name}": row._mapping[key] for key in sealed.table.primary_key}
