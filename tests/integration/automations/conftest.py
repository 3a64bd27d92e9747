"""Replicas of the slice over one database, acquisitions as acquisition keeps them, and a clock that moves when told."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from libs import ids
from libs.errors import AppError, Unavailable
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.telemetry.metrics import Metrics
from services.config.automations.actions import SqlActions
from services.config.automations.guard import Guard
from services.config.automations.metrics import AutomationMetrics
from services.config.automations.pauses import SqlPauses
from services.config.automations.runner import AutomationRunner
from services.config.automations.store import SqlAutomations
from services.config.domain.automations import Action, ActionStatus, Candidate, Change, Outcome
from services.config.domain.safety import Limits, Switch
from services.config.tables import automation, automation_action, metadata
from tests.support.database_clock import DatabaseClock

RETRY = "retry-unavailable"

Hook = Callable[[str], Awaitable[None]]


async def calmly(name: str) -> None:
    """Nothing happens around a call."""


@dataclass
class Acquisitions:
    """What failed and what was tried again, with an etag that moves; `Doer` for it, which dies where a test says."""

    etags: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)
    before: Hook = calmly
    after: Hook = calmly

    def fail(self, *names: str) -> None:
        for name in names:
            self.etags[name] = self.etags.get(name, 0) + 1
            self.failed.append(name)

    async def candidates(self, limit: int) -> Sequence[Candidate]:
        return [
            Candidate(
                target=name, user=name.split("-")[0], etag=str(self.etags[name]), description=f"Try {name} again."
            )
            for name in self.failed[:limit]
        ]

    async def act(self, action: Action) -> Outcome:
        await self.before(action.target)
        if str(self.etags[action.target]) != action.etag:
            done = action.target not in self.failed
            return Outcome(status=ActionStatus.DONE if done else ActionStatus.FAILED)
        self.etags[action.target] += 1
        self.failed.remove(action.target)
        self.retried.append(action.target)
        await self.after(action.target)
        return Outcome(status=ActionStatus.DONE)


@dataclass
class Refreshes:
    """When refreshes of users' tokens failed, and succeeded last: everybody's, unless it is said whose."""

    failed: list[datetime] = field(default_factory=list)
    whose: str = ""
    success: datetime | None = None

    async def recent_failures(self, user: str, since: datetime) -> int:
        return sum(moment >= since for moment in self.failed) if self.whose in ("", user) else 0

    async def last_success(self, user: str) -> datetime | None:
        return self.success


@dataclass
class Replica:
    """One of the processes that share a database."""

    automations: SqlAutomations
    actions: SqlActions
    pauses: SqlPauses
    guard: Guard
    runner: AutomationRunner


@dataclass
class House:
    """What replicas share, and what a test turns; `on_look` happens whenever one asks for the kill switch."""

    database: Database
    clock: DatabaseClock = field(default_factory=DatabaseClock)
    acquisitions: Acquisitions = field(default_factory=Acquisitions)
    refreshes: Refreshes = field(default_factory=Refreshes)
    limits: Limits = field(default_factory=lambda: Limits(dry_run=False))
    switch: Switch | AppError = Switch.OFF
    on_look: Callable[[], None] = lambda: None
    told: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self._metrics = AutomationMetrics(self.told)

    def replica(self) -> Replica:
        automations = SqlAutomations(self.database, now=self.clock.now)
        actions = SqlActions(self.database, automations, tokens=PageTokens(b"key"))
        pauses = SqlPauses(self.database, automations, refreshes=self.refreshes)
        guard = Guard(actions, pauses, switch=self._switch, limits=lambda: self.limits)
        runner = AutomationRunner(automations, actions, guard, doers={RETRY: self.acquisitions}, metrics=self._metrics)
        return Replica(automations, actions, pauses, guard, runner)

    async def turn(self, on: bool, *, interval: timedelta | None = None) -> None:
        """Turns the automation on or off."""
        await self.replica().automations.change(RETRY, Change(enabled=on, interval=interval, actor="ann"))

    async def noted(self) -> list[tuple[str, str]]:
        """The targets of all actions and what came of them, oldest first."""
        table = automation_action
        async with self.database.reading() as connection:
            found = select(table.c.target, table.c.status).order_by(table.c.acted_at, table.c.id)
            return [(row.target, row.status) for row in await connection.execute(found)]

    async def runs(self) -> int:
        async with self.database.reading() as connection:
            return int(await connection.scalar(select(automation.c.runs)) or 0)

    async def _switch(self) -> Switch:
        self.on_look()
        if isinstance(self.switch, AppError):
            raise self.switch
        return self.switch


@pytest.fixture
async def house(database: Database) -> House:
    async with database.writing() as connection:
        await connection.run_sync(metadata.create_all)
    house = House(database)
    await house.replica().automations.make()
    return house


def someone() -> str:
    """A user that no other test, and no other example, has."""
    return ids.new("user")


def away() -> Unavailable:
    return Unavailable("acquisition is away")
