"""Authorizations that were begun, in SQL: known by the digest of their state, good once, and not for long."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, insert, select
from sqlalchemy.sql.dml import ReturningDelete

from libs.crypto.safe import Safe
from libs.sql.engine import Database
from libs.sql.types import duration_ms, from_millis, now_ms
from services.config.domain.oauth import MOST_PENDING, PENDING, AuthorizationUnusable, Owner
from services.config.oauth.contexts import verifier_context
from services.config.tables import oauth_authorization

_MINE = oauth_authorization.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An authorization that was begun; `session` is that of the browser, empty where a key itself began it."""

    owner: Owner
    redirect: str
    session: str
    verifier: str = field(repr=False)


class SqlAuthorizations:
    """The authorizations of one database; `now` is its clock, except in tests."""

    def __init__(self, database: Database, safe: Safe, *, now: ColumnElement[int] | None = None) -> None:
        self._database = database
        self._safe = safe
        self._now = now_ms() if now is None else now

    async def begin(self, state: str, pending: Pending) -> datetime:
        """Keeps it, and returns its end. Of too many the user's oldest goes: the newest link always works."""
        digest = _digest(state)
        newest = select(_MINE.state_digest).where(_MINE.user_name == pending.owner.user)
        kept = newest.order_by(_MINE.expires_at.desc(), _MINE.state_digest).limit(MOST_PENDING - 1)
        surplus = and_(_MINE.user_name == pending.owner.user, _MINE.state_digest.not_in(kept.scalar_subquery()))
        async with self._database.writing() as connection:
            await connection.execute(delete(oauth_authorization).where(surplus))
            sealer = await self._safe.sealer(connection)
            row = {
                "state_digest": digest,
                "provider": pending.owner.provider,
                "user_name": pending.owner.user,
                "verifier": sealer.seal(pending.verifier.encode(), context=verifier_context(digest)),
                "redirect_url": pending.redirect,
                "session_id": pending.session or None,
                "expires_at": self._now + duration_ms(PENDING),
            }
            made = await connection.execute(insert(oauth_authorization).values(row).returning(_MINE.expires_at))
            ends: datetime = made.scalar_one()
        return ends

    async def take(self, state: str, provider: str, *, session: str) -> Pending:
        """Takes it away for good, whatever comes of it; raises AuthorizationUnusable, also in another browser."""
        digest = _digest(state)
        await self._check_known(digest)
        async with self._database.writing() as connection:
            row = (await connection.execute(self._taking(digest))).first()
        if row is None or row.provider != provider or row.expires_at <= from_millis(row.now):
            raise _unusable()
        if row.session_id not in (None, session):
            raise AuthorizationUnusable("another browser began it, or was signed out since: begin again in this one")
        verifier = await self._safe.open(row.verifier, context=verifier_context(digest))
        owner = Owner(provider=row.provider, user=row.user_name)
        return Pending(owner=owner, redirect=row.redirect_url, session=row.session_id or "", verifier=verifier.decode())

    async def _check_known(self, digest: bytes) -> None:
        """Anybody may come with anything: who comes with nothing of ours keeps no writer waiting."""
        known = select(_MINE.state_digest).where(_MINE.state_digest == digest)
        async with self._database.reading() as connection:
            if await connection.scalar(known) is None:
                raise _unusable()

    def _taking(self, digest: bytes) -> ReturningDelete[Any]:
        same = delete(oauth_authorization).where(_MINE.state_digest == digest)
        return same.returning(oauth_authorization, self._now.label("now"))


def _unusable() -> AuthorizationUnusable:
    return AuthorizationUnusable(
        "no authorization is open under this state: it was used before, is older than 10 minutes, or was never begun"
        " here; begin again"
    )


def _digest(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()
