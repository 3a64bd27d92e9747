"""Forgets, some at a time, the sessions that ended long ago and the tickets that nobody used."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from libs.clock import Clock
from libs.errors import AppError
from libs.telemetry.logger import get_logger
from services.config.sessions.store import SqlSessionStore

KEPT = timedelta(days=7)

_PAUSE = timedelta(hours=1)
_BATCH = 500  # rows in one transaction

log = get_logger(__name__)


class SessionUpkeep:
    """Keeps the tables short."""

    def __init__(self, store: SqlSessionStore, *, clock: Clock, batch: int = _BATCH) -> None:
        self._store = store
        self._clock = clock
        self._batch = batch

    async def run(self) -> None:
        """Makes a pass every hour."""
        while True:
            try:
                await self.run_once()
            except AppError as error:  # the next pass forgets them
                log.warning("sessions.not_forgotten", reason=error.code_reason)
            await asyncio.sleep(_PAUSE.total_seconds())

    async def run_once(self) -> None:
        """One pass: forgets all that are old enough."""
        now = self._clock.now()
        sessions = await self._all(lambda: self._store.forget(now - KEPT, limit=self._batch))
        tickets = await self._all(lambda: self._store.forget_tickets(now, limit=self._batch))
        if sessions or tickets:
            log.info("sessions.forgotten", sessions=sessions, tickets=tickets)

    async def _all(self, forget: Callable[[], Awaitable[int]]) -> int:
        forgotten, last = 0, self._batch
        while last == self._batch:
            last = await forget()
            forgotten += last
        return forgotten
