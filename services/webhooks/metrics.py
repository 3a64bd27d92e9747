"""What the webhooks service counts and logs; every label has few values."""

from datetime import timedelta

from libs.errors import AppError
from libs.telemetry.logger import get_logger
from libs.telemetry.metrics import Metrics
from services.webhooks.domain.delivery import Delivery
from services.webhooks.domain.event import Event, NewEvent, Receipt
from services.webhooks.domain.processing import Claimed, Settled
from services.webhooks.domain.source import BUILT_IN, Source
from services.webhooks.domain.verification.refusal import CredentialRefused

log = get_logger()

_OTHER = "other"


class WebhookMetrics:
    """The counters of this service, in its registry; `status` is `accepted`, `duplicate`, `rejected` or a state."""

    def __init__(self, metrics: Metrics) -> None:
        self._events = metrics.counter(
            "webhook_events", "Deliveries, and what became of events.", ["source", "event_type", "status"]
        )
        self._durations = metrics.histogram(
            "webhook_processing_duration_seconds", "How long one try took.", ["source", "event_type"]
        )
        self._commits = metrics.histogram(
            "webhook_commit_events", "Events that share one commit.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
        )
        self._backlog = metrics.gauge("webhook_backlog_events", "Events that have not ended.")
        self._age = metrics.gauge("webhook_backlog_age_seconds", "How long the oldest overdue event has been due.")

    def stored(self, source: Source, event: NewEvent, receipt: Receipt) -> None:
        """A delivery was stored."""
        status = "duplicate" if receipt.duplicate else "accepted"
        self._events.labels(source.name, source.label(event.type), status).inc()

    def refused(self, delivery: Delivery, error: AppError) -> None:
        """A delivery was refused; the log says why, without anything that the sender sent as a secret."""
        source = delivery.source if delivery.source in BUILT_IN else _OTHER
        self._events.labels(source, _OTHER, "rejected").inc()
        cause = error.cause if isinstance(error, CredentialRefused) else error.message
        log.warning("delivery.refused", source=source, reason=error.code_reason, cause=cause)

    def committed(self, size: int) -> None:
        """So many events were stored in one commit."""
        self._commits.observe(size)

    def settled(self, settled: Settled) -> None:
        """A try was settled."""
        event, settlement = settled.claimed.event, settled.settlement
        labels = _labels(event)
        self._events.labels(*labels, settlement.state.lower()).inc()
        self._durations.labels(*labels).observe(settled.seconds)
        log.info(
            "event.settled",
            event_id=event.id,
            source=event.source,
            type=event.type,
            state=settlement.state,
            acquisitions=list(settlement.progress.acquisitions),
            error=settlement.progress.error or None,
        )

    def lost(self, settled: Settled) -> None:
        """A try took longer than its lease: somebody else has the event now."""
        log.warning("event.lease_lost", event_id=settled.claimed.event.id, seconds=round(settled.seconds, 3))

    def broken(self, claimed: Claimed, error: BaseException) -> None:
        """A try ended with a defect of ours."""
        log.error("event.broken", event_id=claimed.event.id, exc_info=error)

    def backlog(self, waiting: int, age: timedelta) -> None:
        """So many events have not ended; the most overdue one has been due for so long."""
        self._backlog.set(waiting)
        self._age.set(age.total_seconds())


def _labels(event: Event) -> tuple[str, str]:
    source = BUILT_IN.get(event.source)
    return (source.name, source.label(event.type)) if source else (_OTHER, _OTHER)
