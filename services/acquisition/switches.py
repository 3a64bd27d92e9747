"""The switch of all acquisitions with its history, and what is in the queues."""

from collections.abc import Mapping

from sqlalchemy import Select, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import Database
from libs.sql.types import now_ms
from libs.telemetry.logger import get_logger
from libs.work import statements
from libs.work.job import Backlog as Jobs
from libs.work.statements import ALL_QUEUES
from libs.work.store import SqlWorkStore
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.control import Backlog, Switch, moved
from services.acquisition.tables import engine, switch_change

KEPT = 1000  # changes of the switch

log = get_logger()


class SqlSwitches:
    """Implements `domain.control.ControlStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._jobs = SqlWorkStore(database, engine)

    async def switch(self) -> Switch:
        """How the switch stands."""
        async with self._database.reading() as connection:
            return await standing(connection)

    async def set_switch(self, switch: Switch, *, etag: str = "") -> Switch:
        """Put the switch, for every replica and across restarts, and note it; raises SwitchMoved for another etag."""
        values = {"name": ALL_QUEUES, "paused": switch.paused, "reason": switch.reason, "actor": switch.actor}
        async with self._database.writing() as connection:
            before = await standing(connection)
            before.ensure_etag(etag)
            put = statements.pause(engine, self._database.dialect, version=before.version if etag else None)
            row = (await connection.execute(put, values)).mappings().first()
            if row is None:  # another was quicker
                raise moved(await standing(connection))
            await _note(connection, version=row["version"], switch=switch)
            kept = await standing(connection)
        log.warning("kill_switch.put", enabled=kept.paused, actor=kept.actor, why=kept.reason, version=kept.version)
        return kept

    async def backlog(self) -> Mapping[Source, Backlog]:
        """What every source has to do."""
        found = await self._jobs.backlog([source.lower() for source in Source])
        return {source: _backlog(found[source.lower()]) for source in Source}


async def standing(connection: AsyncConnection) -> Switch:
    """How the switch stands, as this transaction sees it."""
    row = (await connection.execute(_SWITCH)).mappings().first()
    return Switch() if row is None else Switch(**row)


async def _note(connection: AsyncConnection, *, version: int, switch: Switch) -> None:
    change = {"version": version, "paused": switch.paused, "reason": switch.reason, "actor": switch.actor}
    await connection.execute(insert(switch_change).values(**change, changed=now_ms()))
    await connection.execute(delete(switch_change).where(switch_change.c.version <= version - KEPT))


def _switch() -> Select[tuple[object, ...]]:
    queue = engine.queue.c
    changed = switch_change.c.changed.label("since")
    return (
        select(queue.paused, queue.reason, queue.actor, queue.version, changed)
        .outerjoin_from(engine.queue, switch_change, switch_change.c.version == queue.version)
        .where(queue.name == ALL_QUEUES)
    )


def _backlog(jobs: Jobs) -> Backlog:
    return Backlog(queued=jobs.paused + jobs.due + jobs.waiting, running=jobs.running, age=jobs.overdue)


_SWITCH = _switch()
