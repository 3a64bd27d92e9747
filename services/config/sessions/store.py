"""All SQL of sessions and tickets."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.rpc.sessions import TicketUnusable
from libs.sql.engine import Database
from libs.sql.paging import Order, PageTokens, SortKey
from services.config.domain.sessions import (
    MOST_SESSIONS,
    BrowserSession,
    EndedSession,
    Passage,
    SessionNotFound,
    Ticket,
    TooManySessions,
)
from services.config.tables import browser_session, config_state, stream_ticket

_SESSION = browser_session.c
_SLOWEST = timedelta(minutes=10)  # that a clock may be behind ours: to whom it belongs a session is good for so long
_NEWEST_FIRST = Order(
    keys=(
        SortKey(column=_SESSION.created_at, descending=True),
        SortKey(column=_SESSION.id, descending=True),
    )
)


class SqlSessionStore:
    """Sessions and tickets in one database."""

    def __init__(self, database: Database, *, tokens: PageTokens) -> None:
        self._database = database
        self._tokens = tokens

    async def create(self, session: BrowserSession, *, now: datetime) -> None:
        """Keep a new session; raises TooManySessions."""
        lasting = select(func.count()).where(_SESSION.user_name == session.user, _SESSION.expires_at > now)
        async with self._database.writing() as connection:
            if (await connection.execute(lasting)).scalar_one() >= MOST_SESSIONS:
                raise TooManySessions
            await connection.execute(insert(browser_session).values(_new_row(session)))

    async def get(self, session_id: str) -> BrowserSession:
        """The session; raises SessionNotFound."""
        async with self._database.reading() as connection:
            return await _get(connection, session_id)

    async def page(
        self, user: str | None, handles: Sequence[str], *, now: datetime, size: int, token: str
    ) -> tuple[list[BrowserSession], str]:
        """A page of the open sessions of a user, or of all, whose keys are among these, newest first.

        With it comes the token of the next one. Raises InvalidArgument for a token of others.
        """
        page = self._tokens.page(size=size, token=token, order=_NEWEST_FIRST, arguments=["sessions", user or ""])
        query = select(browser_session).where(
            _SESSION.ended_at.is_(None), _SESSION.expires_at > now, _SESSION.key_handle.in_(handles)
        )
        if user is not None:
            query = query.where(_SESSION.user_name == user)
        async with self._database.reading() as connection:
            found, next_token = page.cut((await connection.execute(page.apply(query))).all())
        return [_session_of(row) for row in found], next_token

    async def end(self, session_id: str, user: str | None, *, now: datetime) -> BrowserSession:
        """The session of this user, or of anybody, signed out; raises SessionNotFound."""
        async with self._database.writing() as connection:
            await connection.execute(select(config_state.c.id).with_for_update())
            before = await _get(connection, session_id)
            if user not in (None, before.user):
                raise SessionNotFound(session_id)
            after = before.ended(now)
            if after is not before:
                ending = update(browser_session).where(_SESSION.id == session_id).values(ended_at=after.ended_at)
                await connection.execute(ending)
                await connection.execute(update(config_state).values(version=config_state.c.version + 1))
        return after

    async def ended(self, now: datetime) -> list[EndedSession]:
        """Those that were signed out and have not come to their end, by anybody's clock."""
        remembered = (_SESSION.ended_at.is_not(None), _SESSION.expires_at > now - _SLOWEST)
        query = select(_SESSION.id, _SESSION.expires_at).where(*remembered).order_by(_SESSION.id)
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return [EndedSession(id=row.id, expires_at=row.expires_at) for row in found]

    async def keep_ticket(self, ticket: Ticket, passage: Passage) -> None:
        """Keep what a ticket opens, by the digest of the ticket."""
        row = {
            "digest": _digest(ticket.text),
            "session_id": passage.session_id,
            "key_handle": passage.handle,
            "session_expires_at": passage.expires_at,
            "expires_at": ticket.expires_at,
        }
        async with self._database.writing() as connection:
            await connection.execute(insert(stream_ticket).values(row))

    async def take_ticket(self, ticket: str, *, now: datetime) -> Passage:
        """What it opens, for one of those who come with it; raises TicketUnusable."""
        same = stream_ticket.c.digest == _digest(ticket)
        async with self._database.writing() as connection:
            row = (await connection.execute(delete(stream_ticket).where(same).returning(stream_ticket))).first()
        if row is None or row.expires_at <= now:
            raise TicketUnusable
        return Passage(session_id=row.session_id, handle=row.key_handle, expires_at=row.session_expires_at)


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()


async def _get(connection: AsyncConnection, session_id: str) -> BrowserSession:
    row = (await connection.execute(select(browser_session).where(_SESSION.id == session_id))).first()
    if row is None:
        raise SessionNotFound(session_id)
    return _session_of(row)


def _session_of(row: Row[Any]) -> BrowserSession:
    return BrowserSession(
        id=row.id,
        handle=row.key_handle,
        key_id=row.key_id,
        user=row.user_name,
        user_agent=row.user_agent,
        created_at=row.created_at,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
    )


def _new_row(session: BrowserSession) -> dict[str, Any]:
    return {
        "id": session.id,
        "key_handle": session.handle,
        "key_id": session.key_id,
        "user_name": session.user,
        "user_agent": session.user_agent,
        "created_at": session.created_at,
        "expires_at": session.expires_at,
    }
