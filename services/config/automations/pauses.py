"""Users whose automations are held after failures of their tokens: durably, until they are resumed or one succeeds."""

from datetime import datetime
from typing import Protocol

from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects import postgresql, sqlite

from libs.sql.engine import Database
from libs.telemetry.logger import get_logger
from services.config.automations.store import SqlAutomations
from services.config.domain.safety import FAILURES, Reason
from services.config.tables import automation_pause as table

log = get_logger(__name__)


class Refreshes(Protocol):
    """Who knows how refreshing tokens goes."""

    async def recent_failures(self, user: str, since: datetime) -> int:
        """How many of the user's refreshes failed since then."""
        ...

    async def last_success(self, user: str) -> datetime | None:
        """When one succeeded last, if that is known."""
        ...


class SqlPauses:
    """The pauses, on SQLite and PostgreSQL."""

    def __init__(self, database: Database, automations: SqlAutomations, *, refreshes: Refreshes) -> None:
        self._database = database
        self._automations = automations
        self._refreshes = refreshes

    async def check(self, user: str, threshold: int) -> int:
        """The failures that count now: those of the last minutes, since the user was resumed last.

        Too many of them pause the user's automations; a success since then lets them go on. A threshold of 0, which
        could not be read, pauses nobody: that would last beyond its mending.
        """
        async with self._database.reading() as connection:
            now = await self._automations.time(connection)
            standing = select(table.c.paused_at, table.c.resumed_at).where(table.c.user_name == user)
            row = (await connection.execute(standing)).first()
        resumed = None if row is None else row.resumed_at
        if row is not None and resumed is None and await self._succeeded_since(user, row.paused_at):
            await self.resume(user, actor="")
            return 0
        since = now - FAILURES
        failures = await self._refreshes.recent_failures(user, since if resumed is None else max(since, resumed))
        if 0 < threshold <= failures:
            await self._put(user)
        return failures

    async def resume(self, user: str, *, actor: str) -> None:
        """Lets the user's automations go on; failures so far count no more."""
        insert = (postgresql.insert if self._database.dialect == "postgresql" else sqlite.insert)(table)
        async with self._database.writing() as connection:
            now = await self._automations.time(connection)
            row = {"user_name": user, "reason": "", "paused_at": now, "resumed_at": now}
            await connection.execute(
                insert.values(row).on_conflict_do_update(index_elements=["user_name"], set_={"resumed_at": now})
            )
        log.info("automations.resumed", user=user, actor=actor)

    async def _succeeded_since(self, user: str, moment: datetime) -> bool:
        success = await self._refreshes.last_success(user)
        return success is not None and success > moment

    async def _put(self, user: str) -> None:
        insert = (postgresql.insert if self._database.dialect == "postgresql" else sqlite.insert)(table)
        async with self._database.writing() as connection:
            now = await self._automations.time(connection)
            row = {"user_name": user, "reason": Reason.OAUTH_FAILURES, "paused_at": now, "resumed_at": None}
            going: ColumnElement[bool] = table.c.resumed_at.is_not(None)
            put = insert.values(row).on_conflict_do_update(index_elements=["user_name"], set_=row, where=going)
            paused = (await connection.execute(put)).rowcount
        if paused:
            log.warning("automations.paused", user=user, reason=Reason.OAUTH_FAILURES.value)
