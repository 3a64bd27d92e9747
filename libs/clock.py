"""Time, passed in: the wall clock for people, the monotonic clock for durations."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never steps, for durations."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds on a clock that never steps, for durations."""
        return time.monotonic()


class ManualClock:
    """A clock that only moves when told: the fake for tests."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._elapsed = timedelta()

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        return self._start + self._elapsed

    def monotonic(self) -> float:
        """Seconds on a clock that never steps, for durations."""
        return self._elapsed.total_seconds()

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self._elapsed += by
