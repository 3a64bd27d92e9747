"""When API keys were used: noted in memory with each call, told now and then to the service that keeps it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from libs.clock import Clock
from libs.errors import AppError
from libs.telemetry.logger import get_logger

Send = Callable[[Mapping[str, datetime]], Awaitable[None]]

PAUSE = timedelta(minutes=1)

_LAST_WORD = 1.0  # seconds at the end of the process; what is not told by then is lost, and nobody is harmed
_MOST = 1000  # keys in one report

log = get_logger()


class KeyUses:
    """The last use of each key since the last report, and the loop that reports."""

    def __init__(self, send: Send, *, clock: Clock, pause: timedelta = PAUSE) -> None:
        self._send = send
        self._clock = clock
        self._pause = pause
        self._uses: dict[str, datetime] = {}

    def note(self, key_id: str) -> None:
        """The key is used now."""
        self._uses[key_id] = self._clock.now()

    async def run(self) -> None:
        """Reports once in a while, and when it is cancelled."""
        try:
            while True:
                await asyncio.sleep(self._pause.total_seconds())
                await self.run_once()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORD):
                    await self.run_once()

    async def run_once(self) -> None:
        """Reports what was noted; where that fails, it is noted still."""
        uses, self._uses = self._uses, {}
        try:
            while uses:
                part = dict(list(uses.items())[:_MOST])
                await self._send(part)
                uses = {key: used for key, used in uses.items() if key not in part}
        except AppError as error:
            self._uses = uses | self._uses
            log.info("keys.uses_not_told", reason=error.code_reason)
