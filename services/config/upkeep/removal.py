"""What the clean-up removes of the config service: what has ended, what has expired, and logs that grew old."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import ClassVar

from sqlalchemy import ColumnElement, Table

from libs.cleanup.remover import STEP, OldRows, Remover
from libs.sql.engine import Database
from services.config import tables
from services.config.domain.automations import KEPT as ACTIONS
from services.config.keys.store import SqlKeyStore

KEYS = timedelta(days=90)
SESSIONS = timedelta(days=7)
FAILURES = timedelta(days=7)  # of refreshes; nobody counts further back


class EndedKeys:
    """API keys that were taken back or ended long ago. `changed` is told that services have to be."""

    kind: ClassVar[str] = "api_keys"
    rule: ClassVar[str] = f"{KEYS.days} days after they were revoked or ended"
    tables: ClassVar[frozenset[str]] = frozenset([tables.api_key.name])

    def __init__(self, store: SqlKeyStore, *, changed: Callable[[], None]) -> None:
        self._store = store
        self._changed = changed

    async def count(self, now: datetime) -> int:
        """How many ended long ago."""
        return await self._store.count_ended(now - KEYS)

    async def remove(self, now: datetime) -> AsyncIterator[int]:
        """Removes them."""
        while count := await self._store.forget(now - KEYS, limit=STEP):
            self._changed()
            yield count


def removers(database: Database, keys: SqlKeyStore, *, changed: Callable[[], None]) -> list[Remover]:
    """What is kept for days."""
    session, failure, action = tables.browser_session, tables.oauth_failure, tables.automation_action
    return [
        EndedKeys(keys, changed=changed),
        _older(database, session, session.c.expires_at, SESSIONS, kind="sessions", since=" after they ended"),
        _older(database, failure, failure.c.failed_at, FAILURES, kind="refresh_failures"),
        _older(database, action, action.c.acted_at, ACTIONS, kind="automation_actions"),
    ]


def expiring(database: Database) -> list[Remover]:
    """What expires soon after it was made."""
    ticket, authorization = tables.stream_ticket, tables.oauth_authorization
    return [
        _older(database, ticket, ticket.c.expires_at, timedelta(), kind="tickets"),
        _older(database, authorization, authorization.c.expires_at, timedelta(), kind="authorizations"),
    ]


def _older(
    database: Database, table: Table, moment: ColumnElement[datetime], kept: timedelta, *, kind: str, since: str = ""
) -> OldRows:
    rule = f"{kept.days} days{since}" if kept else "until they expire, minutes after they were made"
    return OldRows(database, table, lambda now: moment < now - kept, kind=kind, rule=lambda: rule)
