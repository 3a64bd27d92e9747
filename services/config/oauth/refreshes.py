"""Refreshes in SQL: one at a time for an owner, under a lease; failures are kept only by who holds it still."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Update, and_, insert, select, update

from libs import ids
from libs.crypto.safe import Safe
from libs.sql.engine import Database
from libs.sql.types import duration_ms, now_ms
from services.config.domain.grants import Grant, NotGrantedError
from services.config.domain.oauth import INVALID_GRANT, Token, TokenState
from services.config.oauth.contexts import access_context, refresh_context
from services.config.tables import oauth_failure, oauth_token

LEASE = timedelta(seconds=60)  # longer than a provider may take, and the database to come back afterwards
_TOKEN = oauth_token.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to refresh: `fence` is the version of the row that it is good for."""

    token: Token
    fence: int
    sealed: bytes = field(repr=False)


class SqlRefreshes:
    """The refreshes of one database; `now` is its clock, except in tests."""

    def __init__(self, database: Database, safe: Safe, *, now: ColumnElement[int] | None = None) -> None:
        self._database = database
        self._safe = safe
        self._now = now_ms() if now is None else now

    async def claim(self, token: Token) -> Claim | None:
        """The right to refresh what was seen; None where somebody was quicker. Raises what `check_refreshable` does."""
        token.check_refreshable()
        fence = token.version + 1
        taken = {"refreshing_until": self._now + duration_ms(LEASE), "version": fence}
        async with self._database.writing() as connection:
            same = update(oauth_token).where(_TOKEN.id == token.id, _TOKEN.version == token.version)
            row = (await connection.execute(same.values(taken).returning(_TOKEN.refresh_token))).first()
        return None if row is None else Claim(token=token, fence=fence, sealed=row.refresh_token)

    async def open(self, claim: Claim) -> str:
        """The refresh token; raises WrongKey or Tampered."""
        return (await self._safe.open(claim.sealed, context=refresh_context(claim.token.owner))).decode()

    async def succeeded(self, claim: Claim, grant: Grant, *, age: timedelta) -> bool:
        """Keeps the new tokens, and what the answer left out as it was.

        Late is better than never: whoever took the lease over and failed did so because we were first. False where the
        tokens were refreshed since, connected anew or taken back.
        """
        owner = claim.token.owner
        standing = select(_TOKEN.id).where(_same_grant(claim)).with_for_update()
        async with self._database.writing() as connection:
            if await connection.scalar(standing) is None:  # looked at before the keys are locked, as every writer does
                return False
            sealer = await self._safe.sealer(connection)
            values: dict[str, Any] = {
                "access_token": sealer.seal(grant.access_token.encode(), context=access_context(owner)),
                "expires_at": self._now + duration_ms(grant.lifetime - age),
                "state": TokenState.ACTIVE.value,
                "last_refresh_at": self._now,
                "refresh_count": _TOKEN.refresh_count + 1,
                "last_error": "",
                "rest_until": None,
            }
            if grant.refresh_token is not None:
                context = refresh_context(owner)
                values["refresh_token"] = sealer.seal(grant.refresh_token.encode(), context=context)
            if grant.scope is not None:
                values["scope"] = grant.scope
            await connection.execute(self._ending(_same_grant(claim), values))
        return True

    async def failed(self, claim: Claim, why: NotGrantedError) -> bool:
        """Keeps one failure; the tokens stay, unless the provider refuses them. False where the claim was lost."""
        state = TokenState.FAILED if why.word == INVALID_GRANT else TokenState.ACTIVE
        rest = self._now + duration_ms(why.rest) if why.rest else None
        values = {"state": state.value, "last_error": why.word, "rest_until": rest}
        owner = claim.token.owner
        failure = {"id": ids.new("ofl"), "provider": owner.provider, "user_name": owner.user, "reason": why.word}
        async with self._database.writing() as connection:
            if not (await connection.execute(self._ending(_held(claim), values))).rowcount:
                return False
            await connection.execute(insert(oauth_failure).values(failure | {"failed_at": self._now}))
        return True

    def _ending(self, standing: ColumnElement[bool], values: dict[str, Any]) -> Update:
        ended = {"refreshing_until": None, "version": _TOKEN.version + 1, "updated_at": self._now}
        return update(oauth_token).where(standing).values(values | ended)


def _held(claim: Claim) -> ColumnElement[bool]:
    return and_(_TOKEN.id == claim.token.id, _TOKEN.version == claim.fence)


def _same_grant(claim: Claim) -> ColumnElement[bool]:
    token = claim.token
    same = and_(_TOKEN.refresh_count == token.refresh_count, _TOKEN.expires_at == token.expires_at)
    return and_(_TOKEN.id == token.id, same, _TOKEN.state != TokenState.REVOKED.value)
