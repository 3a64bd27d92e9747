"""Rows of tokens, as the domain knows them, with what failed of late."""

from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, select

from libs.sql.types import duration_ms, from_millis
from services.config.domain.oauth import WINDOW, Owner, Token, TokenState
from services.config.tables import oauth_failure, oauth_token

_TOKEN = oauth_token.c
_FAILURE = oauth_failure.c
SAME_OWNER = and_(_FAILURE.provider == _TOKEN.provider, _FAILURE.user_name == _TOKEN.user_name)


def tokens(now: ColumnElement[int]) -> Select[Any]:
    """Every column but the tokens themselves."""
    open_to_see = [column for column in oauth_token.columns if column.name not in ("access_token", "refresh_token")]
    recent = and_(SAME_OWNER, _FAILURE.failed_at > now - duration_ms(WINDOW))
    return select(
        *open_to_see,
        _TOKEN.refresh_token.is_not(None).label("refreshable"),
        now.label("seen_at"),
        select(func.count()).where(recent).correlate(oauth_token).scalar_subquery().label("failures"),
        select(func.min(_FAILURE.failed_at)).where(recent).correlate(oauth_token).scalar_subquery().label("failed_at"),
    )


def of(owner: Owner) -> ColumnElement[bool]:
    """The row of an owner."""
    return and_(_TOKEN.provider == owner.provider, _TOKEN.user_name == owner.user)


def token_of(row: Row[Any]) -> Token:
    """The tokens of a row that `tokens` selected."""
    return Token(
        id=row.id,
        owner=Owner(provider=row.provider, user=row.user_name),
        state=TokenState(row.state),
        version=row.version,
        seen_at=from_millis(row.seen_at),
        refreshable=bool(row.refreshable),
        expires_at=row.expires_at,
        refresh_count=row.refresh_count,
        last_refresh_at=row.last_refresh_at,
        busy_until=row.refreshing_until,
        rest_until=row.rest_until,
        recent_failures=row.failures,
        oldest_failure_at=row.failed_at,
        scope=row.scope,
        last_error=row.last_error,
    )
