"""The SQL of automations: made off, changed by people, and run by one process at a time."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, ColumnElement, case, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import Database
from libs.sql.types import duration_ms, from_millis, millis, now_ms
from libs.telemetry.logger import get_logger
from services.config.domain.automations import KINDS, Automation, AutomationNotFound, Change, Run, RunLost
from services.config.tables import automation as table

TTL = timedelta(seconds=90)  # of a run, from its last action: longer than two calls may take

log = get_logger(__name__)


class SqlAutomations:
    """The automations, on SQLite and PostgreSQL. `now` is the database's clock in milliseconds, except in tests."""

    def __init__(self, database: Database, *, now: ColumnElement[int] | None = None) -> None:
        self._database = database
        self._now = select(now_ms() if now is None else now)

    async def make(self) -> None:
        """Makes those that are not there yet; each is off until somebody turns it on."""
        insert = (postgresql.insert if self._database.dialect == "postgresql" else sqlite.insert)(table)
        async with self._database.writing() as connection:
            now = await self.time(connection)
            rows = [
                {"id": kind.id, "enabled": False, "interval_ms": duration_ms(kind.interval), "updated_at": now}
                for kind in KINDS.values()
            ]
            await connection.execute(insert.on_conflict_do_nothing(), rows)

    async def all(self) -> Sequence[Automation]:
        """Every automation that this release knows, by name."""
        async with self._database.reading() as connection:
            found = select(table).where(table.c.id.in_(KINDS)).order_by(table.c.id)
            return [automation_of(row) for row in (await connection.execute(found)).mappings()]

    async def get(self, automation: str) -> Automation:
        """One of them; raises AutomationNotFound."""
        async with self._database.reading() as connection:
            return await _get(connection, automation)

    async def change(self, automation: str, change: Change) -> Automation:
        """The automation after a change; raises AutomationNotFound, AutomationChanged."""
        async with self._database.writing() as connection:
            before = await _get(connection, automation, lock=True)
            before.ensure_etag(change.etag)
            enabled = before.enabled if change.enabled is None else change.enabled
            interval = change.interval or before.interval
            if (enabled, interval) == (before.enabled, before.interval):
                return before
            now = await self.time(connection)
            values = {
                "enabled": enabled,
                "interval_ms": duration_ms(interval),
                "next_run_at": before.due(now, enabled=enabled, interval=interval),
                "actor": change.actor,
                "version": before.version + 1,
                "updated_at": now,
            }
            await connection.execute(update(table).where(table.c.id == automation).values(values))
            after = await _get(connection, automation)
        log.warning(
            "automation.changed",
            automation=automation,
            enabled=after.enabled,
            interval=str(after.interval),
            actor=after.actor,
        )
        return after

    async def due(self) -> Sequence[str]:
        """Those whose time has come and that nobody runs."""
        async with self._database.reading() as connection:
            now = await self.time(connection)
            return list(await connection.scalars(select(table.c.id).where(_is_due(now)).order_by(table.c.id)))

    async def claim(self, automation: str) -> Run | None:
        """Takes a run; None where it is not due any more, or another process was quicker.

        A run that was missed, or that another process left unfinished, is one run: it keeps its number until it ends.
        """
        async with self._database.writing() as connection:
            now = await self.time(connection)
            taken = (
                update(table)
                .where(table.c.id == automation, _is_due(now))
                .values(claimed_until=now + TTL, fence=table.c.fence + 1)
                .returning(table.c.runs, table.c.fence)
            )
            row = (await connection.execute(taken)).first()
        return None if row is None else Run(automation=automation, number=row.runs + 1, fence=row.fence)

    async def renew(self, connection: AsyncConnection, run: Run) -> datetime:
        """Goes before everything that a run writes, and says what time it is; raises RunLost."""
        now = await self.time(connection)
        mine = update(table).where(_is_run(run), table.c.enabled).values(claimed_until=now + TTL)
        if not (await connection.execute(mine)).rowcount:
            raise RunLost
        return now

    async def finish(self, run: Run, result: str) -> None:
        """Ends a run: the next one is due an interval from now, however late this one was. Raises RunLost."""
        async with self._database.writing() as connection:
            now = await self.time(connection)
            ended = (
                update(table)
                .where(_is_run(run))
                .values(
                    runs=run.number,
                    last_run_at=now,
                    last_result=result,
                    next_run_at=_next(now),
                    claimed_until=None,
                )
            )
            if not (await connection.execute(ended)).rowcount:
                raise RunLost

    async def leave(self, run: Run, result: str, *, rest: timedelta = timedelta()) -> None:
        """Lets go of a run that cannot go on now: it is due again after a rest. One that was lost stays so."""
        async with self._database.writing() as connection:
            until = await self.time(connection) + rest if rest else None
            left = update(table).where(_is_run(run)).values(last_result=result, claimed_until=until)
            await connection.execute(left)

    async def time(self, connection: AsyncConnection) -> datetime:
        """What time it is by the database's clock."""
        return from_millis((await connection.execute(self._now)).scalar_one())


def automation_of(row: RowMapping) -> Automation:
    """The automation in a row."""
    return Automation(
        kind=KINDS[row["id"]],
        enabled=row["enabled"],
        interval=timedelta(milliseconds=row["interval_ms"]),
        next_run_at=row["next_run_at"],
        last_run_at=row["last_run_at"],
        last_result=row["last_result"],
        actor=row["actor"],
        updated_at=row["updated_at"],
        version=row["version"],
    )


async def _get(connection: AsyncConnection, automation: str, *, lock: bool = False) -> Automation:
    wanted = select(table).where(table.c.id == automation, table.c.id.in_(KINDS))
    row = (await connection.execute(wanted.with_for_update() if lock else wanted)).mappings().first()
    if row is None:
        raise AutomationNotFound(automation)
    return automation_of(row)


def _is_due(now: datetime) -> ColumnElement[bool]:
    free = table.c.claimed_until.is_(None) | (table.c.claimed_until < now)
    return table.c.enabled & (table.c.next_run_at <= now) & free & table.c.id.in_(KINDS)


def _is_run(run: Run) -> ColumnElement[bool]:
    return (table.c.id == run.automation) & (table.c.fence == run.fence)


def _next(now: datetime) -> ColumnElement[int]:
    return case((table.c.enabled, literal(millis(now), BigInteger) + table.c.interval_ms))
