"""Tokens in SQL as people see them: connected, read, and taken back; the tokens themselves are sealed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, or_, select, true, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from libs import ids
from libs.crypto.safe import Safe
from libs.sql.engine import Database
from libs.sql.paging import Order, PageTokens
from libs.sql.types import UtcMillis, duration_ms, now_ms
from services.config.domain.grants import Grant
from services.config.domain.oauth import AHEAD, SPACING, NoTokensFound, Owner, Token, TokenState
from services.config.oauth import rows
from services.config.oauth.contexts import access_context, refresh_context
from services.config.tables import oauth_authorization, oauth_failure, oauth_token

_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_TOKEN = oauth_token.c
_BY_ID = Order.parse("", fields={"id": _TOKEN.id}, default="id", unique=_TOKEN.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Some tokens: of one provider or of all, of one user or of all; None stands for all."""

    provider: str | None = None
    user: str | None = None

    def of(self, columns: Any) -> ColumnElement[bool]:
        """As a condition on a table that has a provider and a user."""
        provider = true() if self.provider is None else columns.provider == self.provider
        return and_(provider, true() if self.user is None else columns.user_name == self.user)


class SqlTokens:
    """The tokens of one database; `now` is its clock, except in tests."""

    def __init__(
        self, database: Database, safe: Safe, *, pages: PageTokens, now: ColumnElement[int] | None = None
    ) -> None:
        self._database = database
        self._safe = safe
        self._pages = pages
        self._now = now_ms() if now is None else now
        self._tokens = rows.tokens(self._now)

    async def connect(self, owner: Owner, grant: Grant, *, age: timedelta) -> Token:
        """Keeps the tokens of a new grant in place of those before, whose failures are forgotten.

        `age` is the time since the provider was asked: the tokens end that much earlier.
        """
        async with self._database.writing() as connection:
            await connection.execute(select(_TOKEN.id).where(rows.of(owner)).with_for_update())  # before the keys are
            values = await self._values(connection, owner, grant, age)
            made = {"id": ids.new("tok"), "created_at": self._now, "version": 1} | values
            upsert = _INSERTS[self._database.dialect](oauth_token).values(made)
            again = values | {"version": _TOKEN.version + 1}
            await connection.execute(
                upsert.on_conflict_do_update(index_elements=[_TOKEN.provider, _TOKEN.user_name], set_=again)
            )
            await connection.execute(delete(oauth_failure).where(_same(owner)))
            return await self._get(connection, owner)

    async def get(self, owner: Owner) -> Token:
        """How the tokens of an owner stand; raises NoTokensFound."""
        async with self._database.reading() as connection:
            return await self._get(connection, owner)

    async def page(self, *, size: int, token: str) -> tuple[list[Token], str]:
        """A page of all tokens, and the token of the next."""
        page = self._pages.page(size=size, token=token, order=_BY_ID, arguments=["oauth tokens"])
        async with self._database.reading() as connection:
            found, next_token = page.cut((await connection.execute(page.apply(self._tokens))).all())
        return [rows.token_of(row) for row in found], next_token

    async def all(self) -> list[Token]:
        """All of them."""
        async with self._database.reading() as connection:
            return [rows.token_of(row) for row in await connection.execute(self._tokens)]

    async def due(self, providers: Collection[str], *, limit: int) -> list[Token]:
        """Some that should be refreshed now, those first that end first."""
        failed = and_(rows.SAME_OWNER, oauth_failure.c.failed_at > self._now - duration_ms(SPACING))
        wanted = and_(
            _TOKEN.provider.in_(providers),
            _TOKEN.state == TokenState.ACTIVE.value,
            _TOKEN.refresh_token.is_not(None),
            _TOKEN.expires_at <= self._now + duration_ms(AHEAD),
            or_(_TOKEN.refreshing_until.is_(None), _TOKEN.refreshing_until <= self._now),
            or_(_TOKEN.rest_until.is_(None), _TOKEN.rest_until <= self._now),
            ~exists().where(failed).correlate(oauth_token),
        )
        some = self._tokens.where(wanted).order_by(_TOKEN.expires_at).limit(limit)
        async with self._database.reading() as connection:
            return [rows.token_of(row) for row in await connection.execute(some)]

    async def access(self, owner: Owner) -> tuple[str, datetime]:
        """The access token and its end; raises NoTokensFound where it was taken back."""
        held = select(_TOKEN.access_token, _TOKEN.expires_at).where(rows.of(owner), _TOKEN.access_token.is_not(None))
        async with self._database.reading() as connection:
            row = (await connection.execute(held)).first()
        if row is None:
            raise _none(owner)
        opened = await self._safe.open(row.access_token, context=access_context(owner))
        return opened.decode(), row.expires_at

    async def refresh_tokens(self, selection: Selection) -> list[tuple[Owner, bytes]]:
        """The refresh tokens of some owners, sealed, for a provider that is told when they are taken back."""
        held = select(_TOKEN.provider, _TOKEN.user_name, _TOKEN.refresh_token)
        some = held.where(selection.of(_TOKEN), _TOKEN.refresh_token.is_not(None))
        async with self._database.reading() as connection:
            found = (await connection.execute(some)).all()
        return [(Owner(provider=row.provider, user=row.user_name), row.refresh_token) for row in found]

    async def revoke(self, selection: Selection) -> list[Owner]:
        """Takes tokens back, and authorizations that are open: whose they were. Raises NoTokensFound for none ever."""
        gone = {
            "state": TokenState.REVOKED.value,
            "access_token": None,
            "refresh_token": None,
            "refreshing_until": None,
            "rest_until": None,
            "version": _TOKEN.version + 1,
            "updated_at": self._now,
        }
        mine = selection.of(_TOKEN)
        standing = update(oauth_token).where(mine, _TOKEN.state != TokenState.REVOKED.value).values(gone)
        pending = delete(oauth_authorization).where(selection.of(oauth_authorization.c))
        async with self._database.writing() as connection:
            await connection.execute(pending)
            returned = await connection.execute(standing.returning(_TOKEN.provider, _TOKEN.user_name))
            found = sorted((row.provider, row.user_name) for row in returned)
            if not found and selection.user is not None and selection.provider is not None:
                await self._get(connection, Owner(provider=selection.provider, user=selection.user))
        return [Owner(provider=provider, user=user) for provider, user in found]

    async def recent_failures(self, user: str, since: datetime) -> int:
        """How many refreshes failed for a user since then, at all providers."""
        failure = oauth_failure.c
        counted = select(func.count()).where(failure.user_name == user, failure.failed_at >= since)
        async with self._database.reading() as connection:
            return await connection.scalar(counted) or 0

    async def last_success(self, user: str) -> datetime | None:
        """When a refresh of a user's tokens succeeded last, or they were got anew; None where neither is known."""
        new = case((_TOKEN.last_error == "", _TOKEN.updated_at))
        latest = func.max(func.coalesce(_TOKEN.last_refresh_at, new), type_=UtcMillis)
        standing = select(latest).where(_TOKEN.user_name == user, _TOKEN.access_token.is_not(None))
        async with self._database.reading() as connection:
            moment: datetime | None = await connection.scalar(standing)
            return moment

    async def _values(self, connection: AsyncConnection, owner: Owner, grant: Grant, age: timedelta) -> dict[str, Any]:
        sealer = await self._safe.sealer(connection)
        refresh = grant.refresh_token
        return {
            "provider": owner.provider,
            "user_name": owner.user,
            "state": TokenState.ACTIVE.value,
            "access_token": sealer.seal(grant.access_token.encode(), context=access_context(owner)),
            "refresh_token": refresh and sealer.seal(refresh.encode(), context=refresh_context(owner)),
            "scope": grant.scope or "",
            "expires_at": self._now + duration_ms(grant.lifetime - age),
            "last_refresh_at": None,
            "refresh_count": 0,
            "last_error": "",
            "refreshing_until": None,
            "rest_until": None,
            "updated_at": self._now,
        }

    async def _get(self, connection: AsyncConnection, owner: Owner) -> Token:
        row = (await connection.execute(self._tokens.where(rows.of(owner)))).first()
        if row is None:
            raise _none(owner)
        return rows.token_of(row)


def _same(owner: Owner) -> ColumnElement[bool]:
    return and_(oauth_failure.c.provider == owner.provider, oauth_failure.c.user_name == owner.user)


def _none(owner: Owner) -> NoTokensFound:
    return NoTokensFound(
        f"no account at {owner.provider} is connected", metadata={"service": owner.provider, "user": owner.user}
    )
