"""Counting together, and each for himself while that cannot be: nobody hears of it when Redis is down."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TypeVar

from libs.clock import Clock
from libs.errors import AppError
from libs.rates.memory import MemoryCounts
from libs.rates.rules import Counts, Decision, Rule, Subject
from libs.telemetry import Telemetry
from libs.telemetry.logger import get_logger

log = get_logger()

T = TypeVar("T")

SHORTEST_REST = timedelta(seconds=0.5)
LONGEST_REST = timedelta(seconds=30)

_STEPS = 6  # doublings from the shortest rest to beyond the longest


@asynccontextmanager
async def open_counts(
    url: str | None, clock: Clock, *, timeout: timedelta, telemetry: Telemetry
) -> AsyncIterator[Counts]:
    """Counts in the Redis at `url`, or in this process without it, and while it does not answer within `timeout`."""
    if url is None:
        yield MemoryCounts(clock.monotonic)
        return
    from libs.rates.redis import RedisCounts  # its memory, only where it is used

    shared = RedisCounts(url, timeout=timeout, telemetry=telemetry)
    try:
        yield FallbackCounts(shared, MemoryCounts(clock.monotonic), clock=clock)
    finally:
        await shared.aclose()


class FallbackCounts:
    """Counts in `shared`, and in `local` while that is away: it is asked again after a rest that doubles."""

    def __init__(self, shared: Counts, local: Counts, *, clock: Clock) -> None:
        self._shared = shared
        self._local = local
        self._clock = clock
        self._failures = 0
        self._next_at = 0.0
        self.since: datetime = clock.now()

    @property
    def shared(self) -> bool:
        """Whether the last that was asked of the shared counts was answered."""
        return self._failures == 0

    async def take(self, subject: Subject, rules: Sequence[Rule]) -> Decision:
        """Counts one by all rules if all let it through."""
        return await self._asked(lambda counts: counts.take(subject, rules))

    async def look(self, subject: Subject, rules: Sequence[Rule]) -> Decision:
        """How he stands, without counting."""
        return await self._asked(lambda counts: counts.look(subject, rules))

    async def forget(self, subject: Subject, rules: Sequence[Rule]) -> bool:
        """Forgets what was counted by these rules, here and together; whether anything was."""
        here = await self._local.forget(subject, rules)
        if not self._is_due():
            return here
        return await self._asked(lambda counts: counts.forget(subject, rules)) or here

    async def _asked(self, ask: Callable[[Counts], Awaitable[T]]) -> T:
        if not self._is_due():
            return await ask(self._local)
        try:
            answer = await ask(self._shared)
        except AppError as error:
            self._failed(error)
            return await ask(self._local)
        self._answered()
        return answer

    def _is_due(self) -> bool:
        return not self._failures or self._clock.monotonic() >= self._next_at

    def _failed(self, error: AppError) -> None:
        now = self._clock.monotonic()
        if self._failures and now < self._next_at:  # another of the same round trip was told before
            return
        if not self._failures:
            self.since = self._clock.now()
            log.warning("rates.counted_apart", reason=error.code_reason, error=error.message)
        self._failures += 1
        self._next_at = now + min(LONGEST_REST, SHORTEST_REST * (1 << min(self._failures, _STEPS))).total_seconds()

    def _answered(self) -> None:
        if self._failures:
            self._failures = 0
            self.since = self._clock.now()
            log.info("rates.counted_together")
