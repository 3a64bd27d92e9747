"""Lidarr's commands: queued, run in the background, and forgetful of how they went."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from deploy.demo.lidarr.resources import Json, stamp
from libs.clock import Clock

_REMEMBERED = timedelta(minutes=5)  # how long a finished command keeps its result and message
_STORED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a command went: `completed` alone says nothing, the result does."""

    successful: bool
    message: str


Runner = Callable[[Mapping[str, Any]], Awaitable[Verdict]]


@dataclass(slots=True, kw_only=True)
class Command:
    """One command; `runner` does its work."""

    id: int
    name: str
    parameters: dict[str, Any]
    queued: datetime
    status: str = "queued"
    result: str = "unknown"
    message: str = ""
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def is_pending(self) -> bool:
        """Whether it has not ended yet."""
        return self.status in ("queued", "started")

    def equals(self, name: str, parameters: Mapping[str, Any]) -> bool:
        """Whether another command would do the same; the order of lists does not matter."""
        return self.name == name and _canonical(self.parameters) == _canonical(parameters)

    def resource(self, now: datetime) -> Json:
        """The command as the API tells it; results are lost five minutes after the end."""
        lost = self.ended is not None and now - self.ended > _REMEMBERED
        told = {
            "id": self.id,
            "name": self.name,
            "commandName": self.name,
            "body": self.parameters | {"name": self.name, "trigger": "manual"},
            "priority": "normal",
            "status": self.status,
            "result": "unknown" if lost else self.result,
            "queued": stamp(self.queued),
            "trigger": "manual",
            "stateChangeTime": stamp(self.ended or self.started or self.queued),
        }
        dates = {"started": self.started, "ended": self.ended}
        told |= {name: stamp(at) for name, at in dates.items() if at}
        return told | ({"message": self.message} if self.message and not lost else {})


class UnknownCommandError(Exception):
    """There is no command of this name."""


class Commands:
    """Runs commands as tasks of the loop, each after a short while in the queue."""

    def __init__(self, clock: Clock, runners: Mapping[str, Runner], *, queue_seconds: float) -> None:
        self.rows: dict[int, Command] = {}
        self._clock = clock
        self._runners = runners
        self._queue_seconds = queue_seconds
        self._ids = itertools.count(1)
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def submit(self, name: str, parameters: Mapping[str, Any]) -> Command:
        """Queue a command, or find the equal one that has not ended. Raises UnknownCommandError."""
        known = {known.lower(): known for known in self._runners}
        wanted = known.get(name.lower().removesuffix("command"))
        if wanted is None:
            raise UnknownCommandError(name)
        for row in self.rows.values():
            if row.is_pending and row.equals(wanted, parameters):
                return row
        row = Command(id=next(self._ids), name=wanted, parameters=dict(parameters), queued=self._clock.now())
        self.rows[row.id] = row
        self._start(row)
        return row

    def find(self, command_id: int) -> Command | None:
        """The command, unless it is unknown or was forgotten."""
        row = self.rows.get(command_id)
        if row and row.ended and self._clock.now() - row.ended > _STORED:
            return None
        return row

    def count(self, name: str) -> int:
        """How many commands of a name there were; those that were found again count once."""
        return sum(row.name == name for row in self.rows.values())

    async def restart(self) -> None:
        """As after a restart of Lidarr: what had started is orphaned, what was queued runs again."""
        queued = [row for row in self.rows.values() if row.status == "queued"]
        await self.close()
        for row in self.rows.values():
            if row.status == "started":
                row.status, row.ended = "orphaned", self._clock.now()
        for row in queued:
            self._start(row)

    async def close(self) -> None:
        """Stop all that is running."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, row: Command) -> None:
        task = asyncio.create_task(self._run(row))
        self._tasks[row.id] = task
        task.add_done_callback(lambda _done: self._tasks.pop(row.id, None))

    async def _run(self, row: Command) -> None:
        await asyncio.sleep(self._queue_seconds)
        row.status, row.started = "started", self._clock.now()
        try:
            verdict = await self._runners[row.name](row.parameters)
        except LookupError as error:
            row.status, row.result, row.message = "failed", "unsuccessful", f"no such row: {error}"
        else:
            row.status, row.message = "completed", verdict.message
            row.result = "successful" if verdict.successful else "unsuccessful"
        row.ended = self._clock.now()


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _canonical(entry) for key, entry in value.items()}
    return sorted(map(str, value)) if isinstance(value, list) else value
