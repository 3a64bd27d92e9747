"""Forgets what automations did long ago, a bounded step at a time."""

import asyncio
from datetime import timedelta

from libs.errors import AppError
from libs.telemetry.logger import get_logger
from services.config.automations.actions import SqlActions

HOURLY = timedelta(hours=1)
PAUSE = timedelta(milliseconds=50)  # between transactions

log = get_logger(__name__)


class AutomationUpkeep:
    """Removes old actions, hourly; two replicas at once do no harm."""

    def __init__(self, actions: SqlActions) -> None:
        self._actions = actions

    async def run(self) -> None:
        """Again and again."""
        while True:
            await self.run_once()
            await asyncio.sleep(HOURLY.total_seconds())

    async def run_once(self) -> int:
        """Removes all that is old; returns how many. What is left while the database is away is for the next time."""
        total = 0
        try:
            while count := await self._actions.forget():
                total += count
                await asyncio.sleep(PAUSE.total_seconds())
        except AppError as error:
            log.warning("automations.not_forgotten", reason=error.code_reason)
        return total
