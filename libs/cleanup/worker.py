"""The loops of the clean-up: daily what is kept for days, hourly what expires soon after it was made."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Any

from libs.cleanup import schedule
from libs.cleanup.metrics import CleanupMetrics
from libs.cleanup.report import Removal, Report
from libs.cleanup.run import Run
from libs.errors import AppError
from libs.leases.errors import LeaseHeld
from libs.sql.watermarks import SqlWatermarks
from libs.telemetry.logger import get_logger

log = get_logger()

NAME = "cleanup"  # of the watermark that is the last report
ASKED = "cleanup.asked"  # of the one that is what the last run was when somebody asked for the next
LOOK = timedelta(minutes=1)
AGAIN = timedelta(hours=1)  # after a run with problems
HOURLY = timedelta(hours=1)

Alone = Callable[[], AbstractAsyncContextManager[Any]]
"""Holds the lease of the clean-up while its body runs; raises LeaseHeld."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """At which time of day a run begins; raises AppError while that is not known. A `zone` of None is the machine's."""

    at: Callable[[], time]
    zone: tzinfo | None = None


class Daily:
    """Removes what is old, once a date in the whole suite; a run that was cut off is made again from the start."""

    def __init__(
        self,
        run: Run,
        watermarks: SqlWatermarks,
        alone: Alone,
        when: Schedule,
        *,
        holder: str,
        metrics: CleanupMetrics,
        ended: Callable[[Report], Awaitable[None]] | None = None,
    ) -> None:
        self._run = run
        self._watermarks = watermarks
        self._alone = alone
        self._when = when
        self._holder = holder
        self._metrics = metrics
        self._ended = ended
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Looks again and again whether a run is due, and at once when somebody asked for one."""
        while True:
            await self.run_once()
            try:
                async with asyncio.timeout(LOOK.total_seconds()):
                    await self._asked.wait()
            except TimeoutError:
                continue

    async def run_once(self) -> bool:
        """Makes the run of this date unless it was made; returns whether it did. While another replica does, none."""
        self._asked.clear()
        try:
            if not await self._due():
                return False
            async with self._alone():
                return await self._due() and await self._make()
        except LeaseHeld:
            return False
        except AppError as error:
            log.warning("cleanup.not_done", reason=error.code_reason, message=error.message)
            return False

    async def begin(self) -> None:
        """Lets a run begin now, due or not: by whoever comes next, should this process end before. Raises AppError."""
        position, _ = await self._watermarks.read(NAME)
        await self._watermarks.move(ASKED, _after(position))
        self._asked.set()

    async def preview(self) -> list[Removal]:
        """How many of each kind a run would remove now; raises AppError."""
        _, now = await self._watermarks.read(NAME)
        return await self._run.preview(now)

    async def last(self) -> Report | None:
        """The last run of any replica; None before the first. Raises AppError."""
        position, _ = await self._watermarks.read(NAME)
        return None if position is None else Report.from_json(position)

    async def next(self) -> datetime:
        """When the next one is due, by the database's clock; raises AppError."""
        position, now = await self._watermarks.read(NAME)
        if position is None:
            return now
        last = Report.from_json(position)
        if last.problems:
            return max(now, last.ended + AGAIN)
        return schedule.next_of(now, last.day, self._when.zone, self._when.at())

    async def _due(self) -> bool:
        at = self._when.at()
        position, now = await self._watermarks.read(NAME)
        if position is None:
            return True
        last = Report.from_json(position)
        self._metrics.last(last)
        if await self._watermarks.find(ASKED) == _after(position):
            return True
        if last.problems:
            return not timedelta() <= now - last.ended < AGAIN
        return schedule.is_due(now, last.day, self._when.zone, at)

    async def _make(self) -> bool:
        before, began = await self._watermarks.read(NAME)
        removals = await self._run.make(began)
        _, now = await self._watermarks.read(NAME)
        day = schedule.date_of(began, self._when.zone, self._when.at())
        report = Report(day=day, started=began, ended=now, holder=self._holder, removals=removals)
        log.info("cleanup.done", removed=dict(report.removed), problems=dict(report.problems))
        if not await self._watermarks.swap(NAME, before, report.to_json()):
            return False
        self._metrics.ended(report)
        self._metrics.last(report)
        if self._ended is not None:
            await self._ended(report)
        return True


class Hourly:
    """Removes what expires soon after it was made. Every replica does: two at once do no harm."""

    def __init__(self, run: Run, watermarks: SqlWatermarks) -> None:
        self._run = run
        self._watermarks = watermarks

    async def run(self) -> None:
        """Again and again."""
        while True:
            await self.run_once()
            await asyncio.sleep(HOURLY.total_seconds())

    async def run_once(self) -> None:
        """Removes all that has expired; what is left while the database is away is for the next time."""
        try:
            _, now = await self._watermarks.read(NAME)
            await self._run.make(now)
        except AppError as error:
            log.warning("cleanup.not_done", reason=error.code_reason, message=error.message)


def _after(position: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What is kept when a run is asked for: with the end of the next one, whoever makes it, that is done."""
    return {"after": position and position["ended"]}
