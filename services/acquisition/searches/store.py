"""The SQL of searches as people see them: begun once, read by their owner, gone after a while."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import Database
from libs.sql.paging import Order, PageTokens, SortKey
from libs.sql.types import from_millis, now_ms
from services.acquisition.domain.searching import (
    KEPT,
    MAX_OF_ONE,
    SAME,
    Gate,
    NewSearch,
    RequestIdReused,
    Search,
    SearchBudgetSpent,
    SearchNotFound,
    SearchPage,
    SearchState,
    TooManySearches,
)
from services.acquisition.searches import rows
from services.acquisition.switches import standing
from services.acquisition.tables import search as table

_SHOWN = [column for column in table.c if column.name != "offers"]
_SOON = timedelta(seconds=5)  # when others that wait have been sent
_NEWEST_FIRST = Order(
    keys=(SortKey(column=table.c.created, descending=True), SortKey(column=table.c.id, descending=True))
)
_SHARED = ("state", "offers", "offer_count", "runner", "updated")  # with who asked the same: as old as they are
_RUNNING = table.c.state == SearchState.RUNNING


class SqlSearches:
    """The searches, on SQLite and PostgreSQL. `gate` knows what the network bears; `kept`: for how long."""

    def __init__(
        self,
        database: Database,
        *,
        tokens: PageTokens,
        gate: Gate,
        kept: Callable[[], timedelta] = lambda: KEPT,
        now: ColumnElement[int] | None = None,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._gate = gate
        self._kept = kept
        self._now = select(now_ms() if now is None else now)

    async def create(self, new: NewSearch) -> Search:
        """Begin it, or find the same one: by the same request, by the same owner, or by anybody a moment ago.

        Raises KillSwitchOn for a new one while nothing may begin, RequestIdReused, TooManySearches, and
        SearchBudgetSpent where it would cost what is not there.
        """
        room = await self._gate.room()
        async with self._database.writing() as connection:
            await self._lock(connection)
            now = from_millis((await connection.execute(self._now)).scalar_one())
            await connection.execute(delete(table).where(table.c.expires <= now))
            if (before := await _asked_before(connection, new, now)) is not None:
                return rows.search_of(before)
            (await standing(connection)).ensure_off()
            await _make_room(connection, new.owner)
            row = rows.new_row(new, now, kept=self._kept())
            same = await _first(connection, table.c.fingerprint == row["fingerprint"], _is_fresh(now))
            if same is None and room.left <= await _waiting(connection):
                raise SearchBudgetSpent("the network bears no further search now", retry_after=max(room.wait, _SOON))
            if same is not None:
                row |= {name: same[name] for name in _SHARED}
            await connection.execute(insert(table).values(row))
        return rows.search_of(row)

    async def get(self, search_id: str, owner: str) -> Search:
        """One's own search with its offers; raises SearchNotFound."""
        async with self._database.reading() as connection:
            now = await self._time(connection)
            row = await _first(connection, table.c.id == search_id, table.c.owner == owner, table.c.expires > now)
        if row is None:
            raise SearchNotFound(search_id)
        return rows.search_of(row)

    async def page(self, owner: str, *, page_size: int, page_token: str) -> SearchPage:
        """One's own searches, newest first; raises InvalidArgument for a token that cannot be read."""
        page = self._tokens.page(size=page_size, token=page_token, order=_NEWEST_FIRST, arguments=["searches", owner])
        async with self._database.reading() as connection:
            now = await self._time(connection)
            mine = select(*_SHOWN).where(table.c.owner == owner, table.c.expires > now)
            found, token = page.cut((await connection.execute(page.apply(mine))).all())
        return SearchPage(searches=[rows.search_of(dict(row._mapping)) for row in found], next_token=token)

    async def delete(self, search_id: str, owner: str) -> None:
        """Forget one's own search; raises SearchNotFound."""
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(table).where(table.c.id == search_id, table.c.owner == owner))
        if not gone.rowcount:
            raise SearchNotFound(search_id)

    async def _time(self, connection: AsyncConnection) -> datetime:
        return from_millis((await connection.execute(self._now)).scalar_one())

    async def _lock(self, connection: AsyncConnection) -> None:
        """One begins at a time, so that no two of them cost the same; on SQLite there is one writer anyhow."""
        if self._database.dialect == "postgresql":
            await connection.execute(text("LOCK TABLE search IN SHARE ROW EXCLUSIVE MODE"))


async def _asked_before(connection: AsyncConnection, new: NewSearch, now: datetime) -> Mapping[str, Any] | None:
    """What the same request, or the same question of the same owner, began."""
    mine, fingerprint = table.c.owner == new.owner, new.question.fingerprint
    if new.request_id is not None:
        same = await _first(connection, mine, table.c.request_id == new.request_id)
        if same is not None and same["fingerprint"] != fingerprint:
            problem = "was used for another search before"
            raise RequestIdReused.field("request_id", problem, reason=RequestIdReused.reason)
        if same is not None:
            return same
    return await _first(connection, mine, table.c.fingerprint == fingerprint, _is_fresh(now))


async def _make_room(connection: AsyncConnection, owner: str) -> None:
    """Let the oldest ended search of the owner go where there are as many as are kept."""
    mine = table.c.owner == owner
    count = await connection.scalar(select(func.count()).select_from(table).where(mine))
    if count is None or count < MAX_OF_ONE:
        return
    oldest = await connection.scalar(select(table.c.id).where(mine, ~_RUNNING).order_by(table.c.created).limit(1))
    if oldest is None:
        raise TooManySearches(f"{MAX_OF_ONE} searches of yours are running", retry_after=SAME)
    await connection.execute(delete(table).where(table.c.id == oldest))


async def _waiting(connection: AsyncConnection) -> int:
    """How many searches were begun that have not been sent for all we know."""
    asked = select(func.count(func.distinct(table.c.fingerprint))).where(_RUNNING, table.c.runner.is_(None))
    return await connection.scalar(asked) or 0


async def _first(connection: AsyncConnection, *conditions: ColumnElement[bool]) -> Mapping[str, Any] | None:
    """The newest of those rows."""
    statement = select(table).where(*conditions).order_by(table.c.created.desc()).limit(1)
    row = (await connection.execute(statement)).mappings().first()
    return None if row is None else dict(row)


def _is_fresh(now: datetime) -> ColumnElement[bool]:
    """Whether its answers are those of now, or will be."""
    ended = (table.c.state == SearchState.DONE) & (table.c.updated > now - SAME)
    return ended | _RUNNING
