"""The switch of all acquisitions, and what is in the queues."""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import case, func, select

from libs.sql.engine import Database
from libs.sql.types import now_ms
from libs.work.statements import ALL_QUEUES
from libs.work.store import SqlWorkStore
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.control import Backlog, Switch
from services.acquisition.tables import engine

work = engine.work


class SqlSwitches:
    """Implements `domain.control.ControlStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._jobs = SqlWorkStore(database, engine)

    async def switch(self) -> Switch:
        """How the switch stands."""
        for state in await self._jobs.switches(ALL_QUEUES):
            return Switch(paused=state.paused, reason=state.reason, actor=state.actor)
        return Switch()

    async def set_switch(self, switch: Switch) -> Switch:
        """Put the switch, for every replica and across restarts."""
        state = await self._jobs.pause(ALL_QUEUES, switch.paused, reason=switch.reason, actor=switch.actor)
        return Switch(paused=state.paused, reason=state.reason, actor=state.actor)

    async def backlog(self) -> Mapping[Source, Backlog]:
        """What every source has to do."""
        now = now_ms()
        running = work.c.lease_until.is_not(None) & (work.c.lease_until >= now)
        queues = {source.lower(): source for source in Source}
        statement = (
            select(
                work.c.queue,
                func.count().label("all"),
                func.sum(case((running, 1), else_=0)).label("running"),
                func.max(case((running, 0), else_=now - work.c.due)).label("overdue"),
            )
            .where(engine.unfinished, work.c.queue.in_(queues))
            .group_by(work.c.queue)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return {
            queues[queue]: Backlog(
                queued=count - busy, running=int(busy), age=timedelta(milliseconds=max(0, int(overdue)))
            )
            for queue, count, busy, overdue in rows
        }
