"""Retention: when the daily run is due, what it removes, and in which steps.

A run belongs to the latest 02:00 local time that has passed. On the night when clocks go forward and there is no 02:00,
it is due at the hour that follows; on the night when they go back it is due at the first of two. A run that was missed
is made up, once, at the next start.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Protocol

from libs.clock import Clock

RUN_AT = time(2)
STEP = 200  # events a transaction: on SQLite others wait for its end
PAUSE = timedelta(milliseconds=50)  # at least, between transactions
_SHARE = 4  # the pause, as a multiple of the step before it
_A_DAY = timedelta(days=1)


class Remover(Protocol):
    """Removes one kind of old things."""

    @property
    def what(self) -> str:
        """What it removes: `events`, `rejections`."""
        ...

    def remove(self, before: datetime) -> AsyncIterator[int]:
        """Removes what ended before that moment, a bounded step each time, and says how much. Raises AppError."""
        ...


class RetentionLog(Protocol):
    """Who counts what was removed."""

    def removed(self, what: str, count: int) -> None:
        """So much of one kind was removed."""
        ...


class Retention:
    """Removes what is old, step after step; between them others have most of the time."""

    def __init__(self, removers: Sequence[Remover], *, log: RetentionLog, clock: Clock) -> None:
        self._removers = removers
        self._log = log
        self._clock = clock

    async def run_once(self, before: datetime) -> dict[str, int]:
        """Removes all that ended before that moment; how much of what. Raises AppError: what is done stays done."""
        return {remover.what: await self._remove(remover, before) for remover in self._removers}

    async def _remove(self, remover: Remover, before: datetime) -> int:
        total, start = 0, self._clock.monotonic()
        async for count in remover.remove(before):
            total += count
            self._log.removed(remover.what, count)
            await asyncio.sleep(max(PAUSE.total_seconds(), _SHARE * (self._clock.monotonic() - start)))
            start = self._clock.monotonic()
        return total


def date_of(now: datetime, zone: tzinfo | None) -> date:
    """The date of the run that `now` belongs to: of the latest 02:00 in `zone` (None: this machine's)."""
    today = now.astimezone(zone).date()
    return today if now >= moment_of(today, zone) else today - _A_DAY


def moment_of(day: date, zone: tzinfo | None) -> datetime:
    """02:00 on that day, in UTC; where clocks skip it the moment that follows, of two the first."""
    at = datetime.combine(day, RUN_AT, tzinfo=zone)
    first, second = at.astimezone(UTC), at.replace(fold=1).astimezone(UTC)
    skipped = first.astimezone(zone).time() != RUN_AT  # then zones differ in which of the two is which (PEP 495)
    return max(first, second) if skipped else first


def is_due(now: datetime, last: date | None, zone: tzinfo | None) -> bool:
    """Whether the run of this date is still to be made.

    One that ran for tomorrow ran east of here; one for later than that ran by a clock that was wrong.
    """
    day = date_of(now, zone)
    return last is None or last < day or last > day + _A_DAY


def limit(now: datetime, days: int) -> datetime:
    """What ended before this is removed."""
    return now - timedelta(days=days)
