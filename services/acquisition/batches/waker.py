"""Wakes batches when acquisitions of theirs have ended; without it they would find out at their next look."""

import asyncio
from collections.abc import Callable

from libs.errors import AppError
from libs.telemetry.logger import get_logger
from services.acquisition.batches.following import SqlFollowing
from services.acquisition.batches.metrics import BatchMetrics
from services.acquisition.domain.bell import Bell

log = get_logger()

POLL_SECONDS = 15.0  # for what other replicas do
PAUSE_SECONDS = 0.5  # between two looks, however often the bell rings


class Waker:
    """Listens to the bell; `wake` is told when there is a batch to go on with."""

    def __init__(self, following: SqlFollowing, *, bell: Bell, metrics: BatchMetrics, wake: Callable[[], None]) -> None:
        self._following = following
        self._metrics = metrics
        self._wake = wake
        self._rung = asyncio.Event()
        bell.subscribe(self._rung.set)

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            self._rung.clear()
            try:
                await self.run_once()
            except AppError as error:  # the batches look by themselves
                log.warning("batch.not_woken", reason=error.code_reason)
            await asyncio.sleep(PAUSE_SECONDS)
            await self._heard()

    async def run_once(self) -> None:
        """One look at all batches."""
        self._metrics.active(await self._following.active())
        if await self._following.tell_ended():
            self._wake()

    async def _heard(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._rung.wait()
        except TimeoutError:
            return
