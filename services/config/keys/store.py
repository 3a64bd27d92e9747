"""All SQL of the API keys; each change of them takes the row of the configuration, so that changes come one by one."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import BindParameter, ColumnElement, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import Database
from libs.sql.paging import Order, PageTokens, SortKey
from services.config.domain.keys import (
    MOST_KEYS,
    ApiKey,
    Key,
    KeyChanged,
    KeyNotFound,
    LastAdminKey,
    TooManyKeys,
)
from services.config.keys import rows
from services.config.tables import api_key, config_state

_OLDEST_FIRST = Order(
    keys=(
        SortKey(column=api_key.c.created_at, descending=False),
        SortKey(column=api_key.c.id, descending=False),
    )
)


class SqlKeyStore:
    """API keys in one database; `given` says that there is a key of the environment, which nobody can take back."""

    def __init__(self, database: Database, *, tokens: PageTokens, given: bool) -> None:
        self._database = database
        self._tokens = tokens
        self._given = given

    async def keys(self) -> Sequence[ApiKey]:
        """What services are told of every key that was not taken back, oldest first."""
        held = select(api_key).where(api_key.c.revoked_at.is_(None)).order_by(*_OLDEST_FIRST.clauses())
        async with self._database.reading() as connection:
            found = (await connection.execute(held)).mappings().all()
        return [admitted for row in found for admitted in rows.key_of(row).admitted()]

    async def keep_first(self, make: Callable[[], Key], *, now: datetime) -> None:
        """Keeps the key that `make` makes, unless there is a way in already; of several processes one makes it.

        `make` shows the key to its owner before this commits: a crash in between leaves a key that was shown and does
        not work, and the next start shows another one. The other order could leave one that works and nobody knows.
        """
        async with self._database.writing() as connection:
            await _lock(connection)
            if not await _guarded(connection, now):
                await connection.execute(insert(api_key).values(rows.new_row(make())))
                await _grow(connection)

    async def create(self, key: Key) -> Key:
        """Keep a new key, or find the one that the same request made; raises TooManyKeys."""
        async with self._database.writing() as connection:
            await _lock(connection)
            if key.request_id is not None and (before := await _of_request(connection, key.request_id)) is not None:
                return before
            held = select(func.count()).select_from(api_key).where(api_key.c.revoked_at.is_(None))
            if (await connection.execute(held)).scalar_one() >= MOST_KEYS:
                raise TooManyKeys
            await connection.execute(insert(api_key).values(rows.new_row(key)))
            await _grow(connection)
        return key

    async def get(self, key_id: str) -> Key:
        """The key; raises KeyNotFound."""
        async with self._database.reading() as connection:
            return await _get(connection, key_id)

    async def page(self, *, size: int, token: str) -> tuple[list[Key], str]:
        """A page of keys, oldest first, and the token of the next; raises InvalidArgument for a token of others."""
        page = self._tokens.page(size=size, token=token, order=_OLDEST_FIRST, arguments=["keys"])
        async with self._database.reading() as connection:
            found, next_token = page.cut((await connection.execute(page.apply(select(api_key)))).all())
        return [rows.key_of(row._mapping) for row in found], next_token

    async def change(self, key_id: str, transition: Callable[[Key], Key], *, etag: str, now: datetime) -> Key:
        """The key after a transition, which is kept unless it changes nothing.

        Raises KeyNotFound, KeyChanged where an etag is given and not the key's, LastAdminKey, and what it raises.
        """
        async with self._database.writing() as connection:
            await _lock(connection)
            before = await _get(connection, key_id)
            if etag and etag != before.etag:
                raise KeyChanged("the key was changed meanwhile: read it again", metadata={"etag": before.etag})
            after = transition(before)
            if after is before:
                return before
            await connection.execute(update(api_key).where(api_key.c.id == key_id).values(rows.changing(after)))
            if before.guards(now) and not self._given and not await _guarded(connection, now):
                raise LastAdminKey(key_id)
            await _grow(connection)
        return after

    async def note_uses(self, uses: Mapping[str, datetime]) -> None:
        """Note when keys were used, unless a later use is noted; ids that nobody knows are passed over."""
        later: BindParameter[datetime] = bindparam("used_at", type_=api_key.c.last_used_at.type)
        earlier = or_(api_key.c.last_used_at.is_(None), api_key.c.last_used_at < later)
        noting = update(api_key).where(api_key.c.id == bindparam("used"), earlier).values(last_used_at=later)
        async with self._database.writing() as connection:
            await connection.execute(noting, [{"used": key, "used_at": uses[key]} for key in sorted(uses)])

    async def count_ended(self, before: datetime) -> int:
        """How many keys were taken back, or ended, before this moment."""
        async with self._database.reading() as connection:
            counted = select(func.count()).select_from(api_key).where(_ended(before))
            return int((await connection.execute(counted)).scalar_one())

    async def forget(self, before: datetime, *, limit: int) -> int:
        """Forget at most so many keys that were taken back, or ended, before this moment; says how many they were."""
        async with self._database.writing() as connection:
            await _lock(connection)
            ids = list(await connection.scalars(select(api_key.c.id).where(_ended(before)).limit(limit)))
            if ids:
                await connection.execute(delete(api_key).where(api_key.c.id.in_(ids)))
                await _grow(connection)
        return len(ids)


def _ended(before: datetime) -> ColumnElement[bool]:
    return or_(api_key.c.revoked_at < before, api_key.c.expires_at < before)


async def _lock(connection: AsyncConnection) -> None:
    await connection.execute(select(config_state.c.id).with_for_update())


async def _grow(connection: AsyncConnection) -> None:
    await connection.execute(update(config_state).values(version=config_state.c.version + 1))


async def _get(connection: AsyncConnection, key_id: str) -> Key:
    row = (await connection.execute(select(api_key).where(api_key.c.id == key_id))).mappings().first()
    if row is None:
        raise KeyNotFound(key_id)
    return rows.key_of(row)


async def _of_request(connection: AsyncConnection, request_id: str) -> Key | None:
    row = (await connection.execute(select(api_key).where(api_key.c.request_id == request_id))).mappings().first()
    return None if row is None else rows.key_of(row)


async def _guarded(connection: AsyncConnection, now: datetime) -> bool:
    """Whether a key is left that is a way in."""
    endless = select(api_key).where(api_key.c.revoked_at.is_(None), api_key.c.expires_at.is_(None))
    found = (await connection.execute(endless)).mappings()
    return any(rows.key_of(row).guards(now) for row in found)
