"""What is counted of dead letters."""

from datetime import timedelta

from libs.telemetry.logger import get_logger
from libs.telemetry.metrics import Metrics
from services.webhooks.domain.dead_letters import Summary
from services.webhooks.domain.event import DeadReason

log = get_logger()


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
