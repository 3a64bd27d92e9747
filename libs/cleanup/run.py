"""One run of the clean-up: every kind in turn, step by step, and one that fails stops no other."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from libs.cleanup.remover import Remover
from libs.cleanup.report import Removal
from libs.clock import Clock
from libs.defects import as_internal
from libs.errors import AppError
from libs.telemetry.logger import get_logger

log = get_logger()

PAUSE = timedelta(milliseconds=50)  # at least, between transactions
_SHARE = 4  # the pause, as a multiple of the step before it: others have most of the time


class RemovalLog(Protocol):
    """Who counts."""

    def removed(self, kind: str, count: int) -> None:
        """So many of one kind were removed."""
        ...

    def failed(self, kind: str) -> None:
        """Not all of one kind could be removed."""
        ...


class Run:
    """Removes what is old."""

    def __init__(
        self, removers: Sequence[Remover], *, counts: RemovalLog, clock: Clock, pause: timedelta = PAUSE
    ) -> None:
        self._removers = removers
        self._counts = counts
        self._clock = clock
        self._pause = pause

    async def preview(self, now: datetime) -> list[Removal]:
        """How many of each kind would be removed; nothing is."""
        return [await self._count(remover, now) for remover in self._removers]

    async def make(self, now: datetime) -> list[Removal]:
        """Removes all that is old, and says what it was."""
        return [await self._remove(remover, now) for remover in self._removers]

    async def _count(self, remover: Remover, now: datetime) -> Removal:
        began, found, problem = self._clock.monotonic(), 0, ""
        try:
            with as_internal("cleanup.defect"):
                found = await remover.count(now)
        except AppError as error:
            problem = error.code_reason
        return self._removal(remover, found, began, problem)

    async def _remove(self, remover: Remover, now: datetime) -> Removal:
        began, total, problem = self._clock.monotonic(), 0, ""
        step = began
        try:
            with as_internal("cleanup.defect"):
                async for count in remover.remove(now):
                    total += count
                    self._counts.removed(remover.kind, count)
                    await asyncio.sleep(max(self._pause.total_seconds(), _SHARE * (self._clock.monotonic() - step)))
                    step = self._clock.monotonic()
        except AppError as error:
            problem = error.code_reason
            self._counts.failed(remover.kind)
            log.warning("cleanup.kind_not_removed", kind=remover.kind, reason=problem, message=error.message)
        return self._removal(remover, total, began, problem)

    def _removal(self, remover: Remover, count: int, began: float, problem: str) -> Removal:
        seconds = round(self._clock.monotonic() - began, 3)
        return Removal(kind=remover.kind, rule=remover.rule, count=count, seconds=seconds, problem=problem)
