"""The safe of one database: its data keys, and the records that they seal."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Insert, Table, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.crypto.datakeys import RECORDS, DataKey, Row, Wrapping, new_data_key
from libs.crypto.derivation import derive
from libs.crypto.keyring import Keyring, Tampered, WrongKey
from libs.crypto.rootkey import RootKeys
from libs.errors import FailedPrecondition
from libs.sql.engine import Database
from libs.sql.types import from_millis, now_ms
from libs.telemetry.logger import get_logger

log = get_logger()

_LOOKS = 10  # a key that is retired while we wait for it is not found; its successor shows at the next look

Fits = Callable[[AsyncConnection], Awaitable[bool]]
"""Whether the root keys open what the release before data keys left."""


class WrongRootKey(FailedPrecondition):
    """The root key is not the one that the secrets in the database were sealed with."""

    reason = "WRONG_ROOT_KEY"


async def _fits(_: AsyncConnection) -> bool:
    return True


async def open_safe(
    database: Database,
    table: Table,
    roots: RootKeys,
    *,
    lasting: Mapping[str, str] | None = None,
    fits: Fits = _fits,
) -> "Safe":
    """Opens the data keys of a database; at the first start makes them, if what is there already `fits`.

    `lasting` names keys that no rotation changes, each with the purpose that it was derived from the root key for
    before there were data keys. What a previous root key sealed is sealed under the current one. Raises WrongRootKey,
    having changed nothing, Tampered or DatabaseUnavailable.
    """
    safe = Safe(database, table, roots)
    await safe.load(lasting or {}, fits)
    return safe


async def require_current(database: Database, table: Table, roots: RootKeys) -> None:
    """Raises WrongRootKey where the current root key alone does not open every data key, and reads only."""
    alone = Wrapping(RootKeys(current=roots.current))
    async with database.reading() as connection:
        rows = await _rows(connection, table)
    try:
        opened = [alone.open(row) for row in rows]
    except WrongKey as error:
        raise WrongRootKey(
            f"{database.place} needs the previous root key still: restart every service first"
        ) from error
    if not opened:
        raise WrongRootKey(f"{database.place} holds no data key yet: start every service first")


class Safe:
    """Seals and opens records. Several processes share the keys of a database, and any of them may rotate them."""

    def __init__(self, database: Database, table: Table, roots: RootKeys) -> None:
        self._database = database
        self._table = table
        self._roots = roots
        self._wrapping = Wrapping(roots)
        self._legacy = [derive(each, "keyring") for each in roots.all]
        self._records: dict[bytes, DataKey] = {}
        self._lasting: dict[str, bytes] = {}
        self._rings: dict[bytes, Keyring] = {}
        self._newest = b""  # the id of the one to seal with, when the keys were read last

    @property
    def root_key_id(self) -> str:
        """The fingerprint of the current root key; the same in every service."""
        return self._wrapping.root_key_id

    @property
    def knows_previous_root_key(self) -> bool:
        """Whether a root key before the current one is known still."""
        return bool(self._roots.previous)

    def key_for(self, purpose: str) -> bytes:
        """A key that no rotation changes."""
        return self._lasting[purpose]

    async def sealer(self, connection: AsyncConnection) -> Keyring:
        """The keyring to seal with until the end of this writing transaction: no rotation overtakes it.

        On PostgreSQL it locks the row of the newest data key: change rows of your own first, as every writer does.
        """
        return self._ring(await self._locked(connection, alone=False))

    async def open(self, sealed: bytes, *, context: str) -> bytes:
        """The plaintext of a record; raises WrongKey or Tampered, or DatabaseUnavailable where keys are read again."""
        try:
            return self._ring(self._newest).open(sealed, context=context)
        except WrongKey:
            async with self._database.reading() as connection:  # somebody else made a new data key
                self._take(await _rows(connection, self._table))
        return self._ring(self._newest).open(sealed, context=context)

    async def newest(self, connection: AsyncConnection) -> DataKey:
        """The data key that records are sealed with now."""
        self._take(await _rows(connection, self._table))
        return self._records[self._newest]

    async def hold(self, connection: AsyncConnection) -> DataKey:
        """The same, held for this writing transaction alone: nobody seals until it ends."""
        return self._records[await self._locked(connection, alone=True)]

    async def renew(self, epoch: int) -> bool:
        """Makes a new data key where the newest is of an older epoch; older ones open until they are forgotten.

        Returns whether it was made now: of several processes one makes it. Raises WrongRootKey, also where another
        root key is being rolled out that is not known here, or DatabaseUnavailable.
        """
        async with self._database.writing() as connection:
            return await self.renew_in(connection, epoch)

    async def renew_in(self, connection: AsyncConnection, epoch: int) -> bool:
        """The same in a writing transaction of yours."""
        before = await self.hold(connection)
        if before.epoch >= epoch:
            return False
        if not all(map(self._wrapping.knows_newest, await _rows(connection, self._table))):
            raise self._outdated()
        await self._write(connection, before.retired())
        key = new_data_key(epoch=epoch, created_at=await _now(connection))
        await connection.execute(insert(self._table).values(self._wrapping.row(key)))
        return True

    async def forget_older(self, connection: AsyncConnection) -> int:
        """Forgets all data keys but the newest; returns how many.

        Only in a transaction that took `hold` first, and then found no record that another key sealed.
        """
        retiring = (self._table.c.purpose == RECORDS, self._table.c.state == "RETIRING")
        return (await connection.execute(delete(self._table).where(*retiring))).rowcount

    async def load(self, lasting: Mapping[str, str], fits: Fits) -> None:
        """Reads the keys, and writes what has to be written before: see `open_safe`."""
        async with self._database.reading() as connection:
            rows = await _rows(connection, self._table)
        keys = self._opened(rows)
        if not rows or not all(map(self._wrapping.is_settled, rows)) or set(lasting) - {each.purpose for each in keys}:
            async with self._database.writing() as connection:
                rows = await self._settle(connection, lasting, fits)
        self._take(rows)
        if not any(map(_seals, rows)):
            raise self._missing()

    async def _settle(self, connection: AsyncConnection, lasting: Mapping[str, str], fits: Fits) -> Sequence[Row]:
        if not await _rows(connection, self._table):
            await self._make_first(connection, fits)
        await self.hold(connection)  # whoever writes keys holds this one first, so that no two wait for each other
        await self._add(connection, await self._seeded(connection, lasting))
        rows = await _rows(connection, self._table)
        for key, row in zip(self._opened(rows), rows, strict=True):
            if not self._wrapping.is_settled(row):
                await self._write(connection, key)
                log.info("data_key.sealed_anew", key=key.id.hex(), root_key=self.root_key_id)
        return rows

    async def _make_first(self, connection: AsyncConnection, fits: Fits) -> None:
        """The first key; and what sealed records before there were data keys, to be forgotten once none needs it."""
        if not await fits(connection):
            raise _wrong_root_key(self._database)
        first = new_data_key(epoch=0, created_at=await _now(connection))
        legacy = [
            DataKey(purpose=RECORDS, state="RETIRING", epoch=0, created_at=first.created_at, secret=each)
            for each in self._legacy
        ]
        await self._add(connection, [first, *legacy])

    async def _seeded(self, connection: AsyncConnection, lasting: Mapping[str, str]) -> list[DataKey]:
        now = await _now(connection)
        return [
            DataKey(purpose=purpose, state="ACTIVE", epoch=0, created_at=now, secret=derive(self._roots.shared, seed))
            for purpose, seed in lasting.items()
        ]

    async def _add(self, connection: AsyncConnection, keys: Sequence[DataKey]) -> None:
        """Adds those that are not there: several processes may start at once."""
        dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
        for key in keys:
            statement: Insert = dialect.insert(self._table).values(self._wrapping.row(key)).on_conflict_do_nothing()
            await connection.execute(statement)

    async def _write(self, connection: AsyncConnection, key: DataKey) -> None:
        changed = update(self._table).where(self._table.c.id == key.id.hex()).values(self._wrapping.row(key))
        await connection.execute(changed)

    async def _locked(self, connection: AsyncConnection, *, alone: bool) -> bytes:
        """Locks the row of the newest data key, for this transaction alone or together with others who seal."""
        columns = self._table.c
        newest = select(columns.id).where(columns.purpose == RECORDS, columns.state == "ACTIVE")
        for _ in range(_LOOKS):
            if found := await connection.scalar(newest.with_for_update(read=not alone)):
                return await self._known(connection, bytes.fromhex(found))
        raise self._missing()

    async def _known(self, connection: AsyncConnection, key_id: bytes) -> bytes:
        if key_id not in self._records:
            self._take(await _rows(connection, self._table))
        return key_id

    def _take(self, rows: Sequence[Row]) -> None:
        """Takes keys into memory, where they stay: somebody may still hold a record that was sealed anew meanwhile."""
        for key, row in zip(self._opened(rows), rows, strict=True):
            if key.purpose != RECORDS:
                self._lasting[key.purpose] = key.secret
            else:
                self._records[key.id] = key
            if _seals(row):
                self._newest = key.id
        self._rings.clear()

    def _opened(self, rows: Sequence[Row]) -> list[DataKey]:
        try:
            return [self._wrapping.open(row) for row in rows]
        except WrongKey as error:
            raise _wrong_root_key(self._database) from error

    def _ring(self, key_id: bytes) -> Keyring:
        """A ring that seals with this key and opens with all."""
        if key_id not in self._rings:
            secrets = [each.secret for each in self._records.values() if each.id != key_id]
            self._rings[key_id] = Keyring(self._records[key_id].secret, *secrets, *self._legacy)
        return self._rings[key_id]

    def _outdated(self) -> WrongRootKey:
        """What we made now would be lost with the root key that we know."""
        return WrongRootKey(
            f"another root key seals {self._database.place} now: restart with it before data keys are renewed"
        )

    def _missing(self) -> Tampered:
        return Tampered(f"a data key is missing in {self._database.place}: restore the database from a backup")


def _wrong_root_key(database: Database) -> WrongRootKey:
    return WrongRootKey(
        f"the root key does not open the secrets in {database.place}: give LOCKGROOVE_SECRET_KEY, or the file "
        "secret.key in the data folder, the key of the first start; nothing was changed"
    )


async def _rows(connection: AsyncConnection, table: Table) -> Sequence[Row]:
    found: Sequence[Any] = (await connection.execute(select(table).order_by(table.c.id))).mappings().all()
    return found


def _seals(row: Row) -> bool:
    return bool(row["purpose"] == RECORDS and row["state"] == "ACTIVE")


async def _now(connection: AsyncConnection) -> Any:
    return from_millis((await connection.execute(select(now_ms()))).scalar_one())
