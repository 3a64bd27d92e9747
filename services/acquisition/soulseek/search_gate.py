"""Lets searches through as slowly as the server bears: it bans accounts for half an hour that ask too fast.

The community's ceiling is about 34 searches in 220 s; 30 stay below it. The count is kept over restarts.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Protocol

from libs.clock import Clock
from services.acquisition.soulseek.errors import SearchLimitReached

WINDOW = timedelta(seconds=220)
LIMIT = 30
GAP = timedelta(milliseconds=500)
PATIENCE = timedelta(seconds=5)


class SearchLog(Protocol):
    """Remembers when searches were sent, also over restarts."""

    async def since(self, moment: datetime) -> Sequence[datetime]:
        """When searches were sent from a moment on, oldest first."""
        ...

    async def add(self, moment: datetime, *, forget_before: datetime) -> None:
        """Remember a search, and forget what is older than the window."""
        ...


class SearchGate:
    """One search after the other, `GAP` apart, at most `LIMIT` in any `WINDOW`.

    Waits up to `PATIENCE`; a longer wait is refused, so that the caller can do something else meanwhile.
    """

    def __init__(self, log: SearchLog, *, clock: Clock, limit: int = LIMIT, gap: timedelta = GAP) -> None:
        self._log = log
        self._clock = clock
        self._limit = limit
        self._gap = gap
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn; the body sends the search, and is counted before it does.

        Raises:
            SearchLimitReached: the turn is too far away.
        """
        async with self._lock:
            await self._wait()
            now = self._clock.now()
            await self._log.add(now, forget_before=now - WINDOW)
            yield

    async def _wait(self) -> None:
        while (wait := await self._time_to_turn()) > timedelta():
            if wait > PATIENCE:
                raise SearchLimitReached(wait.total_seconds())
            await asyncio.sleep(wait.total_seconds())

    async def _time_to_turn(self) -> timedelta:
        now = self._clock.now()
        sent = [moment for moment in await self._log.since(now - WINDOW) if moment <= now]
        waits = [timedelta()]
        if sent:
            waits.append(sent[-1] + self._gap - now)
        if len(sent) >= self._limit:
            waits.append(sent[-self._limit] + WINDOW - now)
        return max(waits)
