"""What is counted of dead letters."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from libs.errors import AppError
from libs.telemetry.logger import get_logger
from libs.telemetry.metrics import Metrics
from services.webhooks.domain.dead_letters import Summary
from services.webhooks.domain.event import DeadReason

log = get_logger()

MEASURE = timedelta(seconds=15)


class DeadLetterMetrics:
    """The numbers of dead letters, in the registry of the service."""

    def __init__(self, metrics: Metrics) -> None:
        self._waiting = metrics.gauge(
            "webhook_dead_letters", "Events that were given up and wait for a decision.", ["reason"]
        )
        self._age = metrics.gauge(
            "webhook_dead_letter_age_seconds", "How long ago the oldest dead letter was received; 0 without one."
        )
        self._decided = metrics.counter(
            "webhook_dead_letters_decided", "Dead letters that were `replayed` or `discarded` one by one.", ["decision"]
        )

    def waiting(self, summary: Summary) -> None:
        """So many wait."""
        for reason in DeadReason:
            self._waiting.labels(reason.lower()).set(summary.by_reason.get(reason, 0))
        self._age.set((summary.oldest or timedelta()).total_seconds())

    def replayed(self, count: int) -> None:
        """So many are processed once more."""
        self._decided.labels("replayed").inc(count)

    def discarded(self, count: int) -> None:
        """So many need nothing more."""
        self._decided.labels("discarded").inc(count)


class DeadLetterGauge:
    """Measures how many wait, and for how long."""

    def __init__(
        self,
        summarize: Callable[[], Awaitable[Summary]],
        show: Callable[[Summary], None],
        *,
        pause: timedelta = MEASURE,
    ) -> None:
        self._summarize = summarize
        self._show = show
        self._pause = pause

    async def run(self) -> None:
        """Measures again and again."""
        while True:
            await self.run_once()
            await asyncio.sleep(self._pause.total_seconds())

    async def run_once(self) -> None:
        """Measures once; while the database is away the last measure stays."""
        try:
            self._show(await self._summarize())
        except AppError as error:
            log.warning("dead_letters.unknown", reason=error.code_reason)
