"""The switch of all acquisitions, and what is in the queues."""

from collections.abc import Mapping

from libs.sql.engine import Database
from libs.work.job import Backlog as Jobs
from libs.work.statements import ALL_QUEUES
from libs.work.store import SqlWorkStore
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.control import Backlog, Switch
from services.acquisition.tables import engine


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
        found = await self._jobs.backlog([source.lower() for source in Source])
        return {source: _backlog(found[source.lower()]) for source in Source}


def _backlog(jobs: Jobs) -> Backlog:
    return Backlog(queued=jobs.paused + jobs.due + jobs.waiting, running=jobs.running, age=jobs.overdue)
