"""Lets searches through as slowly as the server bears: it bans accounts for half an hour that ask too fast.

The community's ceiling is about 34 searches in 220 s; 30 stay below it. The count is kept over restarts, and by all
replicas together.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from libs.clock import Clock
from services.acquisition.domain.searching import Room
from services.acquisition.soulseek.errors import SearchLimitReached

WINDOW = timedelta(seconds=220)
LIMIT = 30
GAP = timedelta(milliseconds=500)
PATIENCE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """At most `limit` searches in any `window`, `gap` apart."""

    limit: int = LIMIT
    window: timedelta = WINDOW
    gap: timedelta = GAP

    def wait(self, sent: Sequence[datetime], now: datetime) -> timedelta:
        """How long until one more may go, after those that were `sent` (oldest first); zero is now."""
        past = self._counted(sent, now)
        waits = [timedelta()]
        if past:
            waits.append(past[-1] + self.gap - now)
        if len(past) >= self.limit:
            waits.append(past[-self.limit] + self.window - now)
        return max(waits)

    def left(self, sent: Sequence[datetime], now: datetime) -> int:
        """How many more bear to be sent in this window."""
        return max(0, self.limit - len(self._counted(sent, now)))

    def _counted(self, sent: Sequence[datetime], now: datetime) -> list[datetime]:
        """Those in the window; what a clock that was set back sees in its future may just have been sent."""
        return [min(moment, now) for moment in sent if now - self.window < moment]


class SearchLog(Protocol):
    """Remembers when searches were sent, also over restarts, and for everybody who shares the budget."""

    async def admit(self, budget: Budget) -> timedelta:
        """Zero: one more is sent now, and remembered. Else how long to wait; nothing is remembered then.

        However many ask at once, they are admitted one after the other.
        """
        ...

    async def room(self, budget: Budget) -> Room:
        """What is left, for those who only want to know."""
        ...


class SearchGate:
    """One search after the other, as the budget allows.

    Waits up to `PATIENCE`; a longer wait is refused, so that the caller can do something else meanwhile.
    """

    def __init__(self, log: SearchLog, *, clock: Clock, limit: int = LIMIT, gap: timedelta = GAP) -> None:
        self._log = log
        self._clock = clock
        self._budget = Budget(limit=limit, gap=gap)
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn; the body sends the search, and is counted before it does.

        Raises:
            SearchLimitReached: the turn is too far away.
        """
        async with self._lock:
            await self._wait()
            yield

    async def room(self) -> Room:
        """What is left of the budget."""
        return await self._log.room(self._budget)

    async def _wait(self) -> None:
        patience = self._clock.monotonic() + PATIENCE.total_seconds()
        while wait := await self._log.admit(self._budget):
            if self._clock.monotonic() + wait.total_seconds() > patience:
                raise SearchLimitReached(wait)
            await asyncio.sleep(wait.total_seconds())
