"""The loops of the service: one handles due events, one finds those that are waited for, others repeat something."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

from libs.errors import AppError
from libs.telemetry.logger import get_logger
from services.webhooks.domain.processing import BATCH, Processing

log = get_logger()

POLL = timedelta(seconds=1)
BURST = 8  # events in one commit: their senders wait for each other
QUIET = timedelta(seconds=0.25)  # without such a commit, and the burst is over
PATIENCE = timedelta(seconds=1)
RECONNECT = timedelta(seconds=2)
MEASURE = timedelta(seconds=15)
_REMEMBERED = 10_000  # news; to follow one twice costs little
_JITTER = 0.2  # so that replicas do not ask in step
_random = random.SystemRandom()


class Worker:
    """Handles due events; `wake` says that there are new ones, polling finds the rest.

    Senders come first: while a burst is being stored, a pass waits for its end, but never longer than a second.
    """

    def __init__(self, processing: Processing, *, handled: Callable[[], None], poll: timedelta = POLL) -> None:
        self._processing = processing
        self._handled = handled
        self._poll = poll
        self._woken = asyncio.Event()
        self._burst_until = 0.0

    def wake(self, stored: int = 0) -> None:
        """Look for due events now; so many were stored in one commit."""
        self._woken.set()
        if stored >= BURST:
            self._burst_until = time.monotonic() + QUIET.total_seconds()

    async def run(self) -> None:
        """Pass after pass until one finds nothing: what came to an end may have kept others of the same order back."""
        while True:
            self._woken.clear()
            await self._let_burst_pass()
            taken = await self.run_once()
            if taken == BATCH:  # a backlog: while one pass waits for another service, the other one works
                await asyncio.gather(self._drain(), self._drain())
            elif not taken:
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

    async def _drain(self) -> None:
        while await self.run_once() == BATCH:
            await self._let_burst_pass()

    async def _let_burst_pass(self) -> None:
        now = time.monotonic()
        end = now + PATIENCE.total_seconds()
        while now < min(self._burst_until, end):
            await asyncio.sleep(min(self._burst_until, end) - now)
            now = time.monotonic()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._poll.total_seconds() * (1 + _random.uniform(0, _JITTER))):
                await self._woken.wait()
        except TimeoutError:
            return


class Rematcher:
    """Has unmatched events handled at once when an acquisition is made or goes on that may be theirs.

    It is a hint: an event that it misses is looked at again by its own timer.
    """

    def __init__(
        self,
        news: Callable[[], AsyncIterator[str]],
        rematch: Callable[[], Awaitable[int]],
        *,
        rematched: Callable[[], None],
        pause: timedelta = RECONNECT,
    ) -> None:
        self._news = news
        self._rematch = rematch
        self._rematched = rematched
        self._pause = pause

    async def run(self) -> None:
        """Follows acquisitions, and again when their service was away."""
        while True:
            await self.run_once()
            await asyncio.sleep(self._pause.total_seconds())

    async def run_once(self) -> None:
        """Follows them until the stream ends."""
        seen: set[str] = set()
        try:
            async for news in self._news():
                if news not in seen and await self._rematch():
                    self._rematched()
                if len(seen) == _REMEMBERED:
                    seen.clear()
                seen.add(news)
        except AppError as error:
            log.debug("acquisitions.not_followed", reason=error.code_reason)


class Repeatedly:
    """Does something at the start and at every interval; where that fails, the next time will tell."""

    def __init__(self, what: str, do: Callable[[], Awaitable[None]], *, every: timedelta) -> None:
        self._what = what
        self._do = do
        self._every = every

    async def run(self) -> None:
        """Again and again."""
        while True:
            await self.run_once()
            await asyncio.sleep(self._every.total_seconds())

    async def run_once(self) -> None:
        """Once."""
        try:
            await self._do()
        except AppError as error:
            log.warning("loop.failed", what=self._what, reason=error.code_reason)
