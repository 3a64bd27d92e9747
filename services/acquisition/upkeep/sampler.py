"""Shows how much every source has to do: one look a process, whoever asks for the metrics and however often."""

import asyncio
from datetime import timedelta

from libs.errors import AppError
from libs.telemetry.logger import get_logger
from services.acquisition.domain.control import ControlStore
from services.acquisition.upkeep.metrics import UpkeepMetrics

log = get_logger()

LOOK = timedelta(seconds=10)


class Sampler:
    """Reads the queues and the switch, and shows them as gauges."""

    def __init__(self, store: ControlStore, *, metrics: UpkeepMetrics) -> None:
        self._store = store
        self._metrics = metrics

    async def run(self) -> None:
        """Again and again; a look that fails leaves what was shown, but for the switch, which counts as on then."""
        while True:
            await self.run_once()
            await asyncio.sleep(LOOK.total_seconds())

    async def run_once(self) -> None:
        """One look."""
        try:
            self._metrics.switch(paused=(await self._store.switch()).paused)
            self._metrics.backlog(await self._store.backlog())
        except AppError as error:
            self._metrics.switch_unknown()
            log.debug("acquisition.not_sampled", reason=error.code_reason)
