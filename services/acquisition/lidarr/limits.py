"""How hard one Lidarr may be pressed: a few calls at once, a few a second, and none while it is down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from libs.clock import Clock
from services.acquisition.domain.lidarr import LidarrUnavailable

CONCURRENT_CALLS = 3
CALLS_PER_SECOND = 10
FAILURES_THAT_OPEN = 10  # one look in vain is up to 9: three reads, each tried three times
OPEN_FOR = timedelta(seconds=30)


class Pace:
    """At most `CONCURRENT_CALLS` at once, begun at most `per_second` a second."""

    def __init__(self, clock: Clock, *, per_second: float = CALLS_PER_SECOND) -> None:
        self._clock = clock
        self._gap = 1 / per_second
        self._slots = asyncio.Semaphore(CONCURRENT_CALLS)
        self._next_start = 0.0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for one's turn, and keep others waiting until the body ends."""
        async with self._slots:
            now = self._clock.monotonic()
            start = max(now, self._next_start)
            self._next_start = start + self._gap
            if start > now:
                await asyncio.sleep(start - now)
            yield


class Breaker:
    """Opens after `FAILURES_THAT_OPEN` failures in a row; then one call in `OPEN_FOR` finds out whether it is over."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._failures = 0
        self._closed_again = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it was pressed in vain, and is left alone now."""
        return self._failures >= FAILURES_THAT_OPEN and self._closed_again > self._clock.monotonic()

    def check(self) -> None:
        """Raises LidarrUnavailable while open; the first caller afterwards is the probe."""
        if self._failures < FAILURES_THAT_OPEN:
            return
        left = self._closed_again - self._clock.monotonic()
        if left > 0:
            raise LidarrUnavailable(f"{self._name} failed repeatedly.", retry_after=timedelta(seconds=left))
        self._closed_again = self._clock.monotonic() + OPEN_FOR.total_seconds()

    def succeeded(self) -> None:
        """It answered in its right mind."""
        self._failures = 0

    def failed(self) -> None:
        """It did not."""
        self._failures += 1
        if self._failures >= FAILURES_THAT_OPEN:
            self._closed_again = self._clock.monotonic() + OPEN_FOR.total_seconds()
