"""Retention: removes what is old, hourly, on one replica at a time, and leaves others most of the time meanwhile."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Protocol

from libs.clock import Clock
from libs.errors import AppError
from libs.leases.errors import LeaseHeld
from libs.telemetry.logger import get_logger

log = get_logger()

LEASE = "acquisition-retention"
HOURLY = timedelta(hours=1)
PAUSE = timedelta(milliseconds=50)  # at least, between transactions
_SHARE = 4  # the pause, as a multiple of the step before it


class Remover(Protocol):
    """Removes one kind of old things."""

    what: str

    async def step(self) -> int:
        """Removes some in one transaction; returns how many, 0 when none are left. Raises AppError."""
        ...


class RetentionLog(Protocol):
    """Who counts what was removed."""

    def removed(self, what: str, count: int) -> None:
        """So many of one kind were removed."""
        ...


class Retention:
    """Runs the removers one after the other. `alone` holds a lease by name while its body runs."""

    def __init__(
        self,
        removers: Sequence[Remover],
        *,
        alone: Callable[[str], AbstractAsyncContextManager[Any]],
        counts: RetentionLog,
        clock: Clock,
        pause: timedelta = PAUSE,
    ) -> None:
        self._removers = removers
        self._alone = alone
        self._counts = counts
        self._clock = clock
        self._pause = pause

    async def run(self) -> None:
        """Again and again."""
        while True:
            await self.run_once()
            await asyncio.sleep(HOURLY.total_seconds())

    async def run_once(self) -> bool:
        """Removes all that is old, and says whether it could: not while another replica does, or the database is away.

        What was removed stays removed; the rest is for the next run.
        """
        try:
            async with self._alone(LEASE):
                for remover in self._removers:
                    await self._empty(remover)
        except LeaseHeld:
            return False
        except AppError as error:
            log.warning("retention.not_done", reason=error.code_reason, message=error.message)
            return False
        return True

    async def _empty(self, remover: Remover) -> None:
        total, start = 0, self._clock.monotonic()
        while count := await remover.step():
            total += count
            self._counts.removed(remover.what, count)
            await asyncio.sleep(max(self._pause.total_seconds(), _SHARE * (self._clock.monotonic() - start)))
            start = self._clock.monotonic()
        if total:
            log.info("retention.removed", what=remover.what, count=total)
