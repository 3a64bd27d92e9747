"""All acquisitions as a whole: held and let go, and how it stands with every source."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from libs.errors import Conflict, FailedPrecondition
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.bell import Bell


class KillSwitchOn(FailedPrecondition):
    """The kill switch is on: nothing may begin."""

    reason = "KILL_SWITCH_ON"


class SwitchMoved(Conflict):
    """The switch is not the one that the caller read."""

    reason = "ETAG_MISMATCH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """Whether all acquisitions are held, why, who used the switch last, and when.

    `version` counts how often it was put: 0 while nobody ever did.
    """

    paused: bool = False
    reason: str = ""
    actor: str = ""
    since: datetime | None = None
    version: int = 0

    @property
    def etag(self) -> str:
        """Changes every time that it is put; the quotes belong to it (AIP-154)."""
        return f'"{self.version}"'

    def ensure_etag(self, etag: str) -> None:
        """Raises SwitchMoved, with the current etag, for another one; an empty one is every one."""
        if etag and etag != self.etag:
            raise moved(self)

    def ensure_off(self) -> None:
        """Raises KillSwitchOn, naming who put it on, and why."""
        if self.paused:
            why = f": {self.reason}" if self.reason else "."
            message = f"The kill switch is on, nothing begins. {self.actor or 'Somebody'} put it on{why}"
            since = {"since": self.since.isoformat()} if self.since else {}
            raise KillSwitchOn(message, metadata={"actor": self.actor, "reason": self.reason} | since)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How many acquisitions of a source wait and run, and for how long the one that is overdue most has been due."""

    queued: int = 0
    running: int = 0
    age: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """How it stands with a source; `problem` says why it cannot be used, and what to do."""

    source: Source
    problem: str
    backlog: Backlog


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How it stands with acquisitions as a whole."""

    switch: Switch
    sources: tuple[SourceStatus, ...]


class ControlStore(Protocol):
    """Where the switch is, and the queues."""

    async def switch(self) -> Switch:
        """How the switch stands."""
        ...

    async def set_switch(self, switch: Switch, *, etag: str = "") -> Switch:
        """Put the switch, for every replica and across restarts; raises SwitchMoved for another etag."""
        ...

    async def backlog(self) -> Mapping[Source, Backlog]:
        """What every source has to do; those without any may be left out."""
        ...


class Control:
    """What operators may do with all acquisitions.

    `problems` tell why a source cannot be used, empty while it can; `hurry` lets running steps see the switch at once.
    """

    def __init__(
        self,
        store: ControlStore,
        *,
        problems: Mapping[Source, Callable[[], str]],
        bell: Bell,
        hurry: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._problems = problems
        self._bell = bell
        self._hurry = hurry

    async def pause(self, *, reason: str, actor: str) -> Status:
        """Nothing new begins on any replica, and what runs stops without harm."""
        await self.put(Switch(paused=True, reason=reason, actor=actor))
        return await self.status()

    async def resume(self, *, reason: str, actor: str) -> Status:
        """They go on; those that were paused one by one stay paused."""
        await self.put(Switch(paused=False, reason=reason, actor=actor))
        return await self.status()

    async def switch(self) -> Switch:
        """How the switch stands."""
        return await self._store.switch()

    async def put(self, switch: Switch, *, etag: str = "") -> Switch:
        """Put the switch, for every replica and across restarts; what runs sees it at once. Raises SwitchMoved."""
        kept = await self._store.set_switch(switch, etag=etag)
        self._bell.ring()
        await self._hurry()
        return kept

    async def status(self) -> Status:
        """The switch, the queues, the sources."""
        backlog = await self._store.backlog()
        sources = [
            SourceStatus(source=source, problem=problem(), backlog=backlog.get(source, Backlog()))
            for source, problem in self._problems.items()
        ]
        return Status(switch=await self._store.switch(), sources=tuple(sources))


def moved(now: Switch) -> SwitchMoved:
    """The error for who read another switch than this one."""
    message = "The kill switch was put meanwhile: read it, then decide again."
    return SwitchMoved(message, metadata={"etag": now.etag})
