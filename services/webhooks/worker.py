"""The loops of the service: one handles due events, one measures what waits."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from libs.errors import AppError
from services.webhooks.domain.processing import BATCH, Processing

log = structlog.get_logger()

POLL = timedelta(seconds=1)
MEASURE = timedelta(seconds=15)
_JITTER = 0.2  # so that replicas do not ask in step
_random = random.SystemRandom()


class Worker:
    """Handles due events; `wake` says that there are new ones, polling finds the rest."""

    def __init__(self, processing: Processing, *, handled: Callable[[], None], poll: timedelta = POLL) -> None:
        self._processing = processing
        self._handled = handled
        self._poll = poll
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look for due events now."""
        self._woken.set()

    async def run(self) -> None:
        """Pass after pass; waits between them unless there is more to do."""
        while True:
            self._woken.clear()
            if await self.run_once() < BATCH:
                await self._pause()

    async def run_once(self) -> int:
        """One pass; returns how many events it took. While the database is away there are none."""
        try:
            taken = await self._processing.run_once()
        except AppError as error:
            log.warning("events.not_processed", reason=error.code_reason, message=error.message)
            return 0
        if taken:
            self._handled()
        return taken

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._poll.total_seconds() * (1 + _random.uniform(0, _JITTER))):
                await self._woken.wait()
        except TimeoutError:
            return


class BacklogGauge:
    """Measures how many events wait, and for how long."""

    def __init__(
        self,
        backlog: Callable[[], Awaitable[tuple[int, timedelta]]],
        show: Callable[[int, timedelta], None],
        *,
        pause: timedelta = MEASURE,
    ) -> None:
        self._backlog = backlog
        self._show = show
        self._pause = pause

    async def run(self) -> None:
        """Measures again and again."""
        while True:
            await self.run_once()
            await asyncio.sleep(self._pause.total_seconds())

    async def run_once(self) -> None:
        """Measures once; while the database is away the last measure stays."""
        try:
            self._show(*await self._backlog())
        except AppError as error:
            log.warning("backlog.unknown", reason=error.code_reason)
