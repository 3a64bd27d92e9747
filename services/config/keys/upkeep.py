"""Forgets, some at a time, the keys that were taken back or ended long ago."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from libs.clock import Clock
from libs.errors import AppError
from libs.telemetry.logger import get_logger
from services.config.keys.store import SqlKeyStore

KEPT = timedelta(days=90)

_PAUSE = timedelta(hours=1)
_BATCH = 500  # keys in one transaction

log = get_logger(__name__)


class KeyUpkeep:
    """Keeps the list of keys short. `changed` says that services have to be told."""

    def __init__(self, store: SqlKeyStore, *, clock: Clock, changed: Callable[[], None], batch: int = _BATCH) -> None:
        self._store = store
        self._clock = clock
        self._changed = changed
        self._batch = batch

    async def run(self) -> None:
        """Makes a pass every hour."""
        while True:
            try:
                await self.run_once()
            except AppError as error:  # the next pass forgets them
                log.warning("keys.not_forgotten", reason=error.code_reason)
            await asyncio.sleep(_PAUSE.total_seconds())

    async def run_once(self) -> None:
        """One pass: forgets all that are old enough."""
        before, forgotten, last = self._clock.now() - KEPT, 0, self._batch
        while last == self._batch:
            last = await self._store.forget(before, limit=self._batch)
            forgotten += last
        if forgotten:
            self._changed()
            log.info("keys.forgotten", count=forgotten)
