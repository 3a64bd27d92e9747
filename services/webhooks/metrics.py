"""What the webhooks service counts and logs; every label has few values."""

import time
from datetime import timedelta

from libs.errors import AppError
from libs.telemetry.logger import get_logger
from libs.telemetry.metrics import Metrics
from services.webhooks.domain.delivery import Delivery
from services.webhooks.domain.document import UnreadableBody
from services.webhooks.domain.event import NewEvent, Receipt
from services.webhooks.domain.processing import Claimed, Settled
from services.webhooks.domain.source import BUILT_IN, Source
from services.webhooks.domain.verification.refusal import CredentialRefused, SecretNotSet

log = get_logger()

_OTHER = "other"
_MOST_SOURCES = 100  # that get labels of their own
_MOST_TYPES = 20  # of a source that has no closed set of them
_OF_KNOWN_SOURCES = CredentialRefused, SecretNotSet, UnreadableBody


class WebhookMetrics:
    """The counters of this service, in its registry.

    `status` is `received` for each delivery, then `accepted`, `conflict` (accepted, but it contradicts another event),
    `duplicate` or `rejected`; for an event whose try was settled it is the state.
    """

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
        self._ingest = metrics.histogram(
            "webhook_ingest_seconds", "From a delivery's arrival at the service to its commit.", ["source"]
        )
        self._latency = metrics.histogram(
            "webhook_delivery_duration_seconds", "From a delivery's arrival at the gateway to its commit.", ["source"]
        )
        self._tries = metrics.histogram(
            "webhook_event_tries", "Tries of an event that has ended.", ["source"], buckets=(1, 2, 3, 5, 10, 100)
        )
        self._rejections = metrics.counter(
            "webhook_rejections", "Deliveries that were refused, and why.", ["source", "reason"]
        )
        self._labels = _Labels()

    def stored(self, source: Source, event: NewEvent, receipt: Receipt, seconds: float) -> None:
        """A delivery was stored, so many seconds after it came."""
        name, event_type = self._labels.of(source.name, event.type)
        self._events.labels(name, event_type, "received").inc()
        self._events.labels(name, event_type, _status(receipt)).inc()
        self._ingest.labels(name).observe(seconds)
        self._latency.labels(name).observe(max(seconds, time.time() - event.received_at.timestamp()))

    def refused(self, delivery: Delivery, error: AppError) -> None:
        """A delivery was refused; the log says why, without anything that the sender sent as a secret."""
        proven = isinstance(error, _OF_KNOWN_SOURCES) or delivery.source in BUILT_IN
        source = self._labels.of(delivery.source, "")[0] if proven else _OTHER
        self._events.labels(source, _OTHER, "received").inc()
        self._events.labels(source, _OTHER, "rejected").inc()
        self._rejections.labels(source, error.code_reason).inc()
        cause = error.cause if isinstance(error, CredentialRefused) else error.message
        log.warning("delivery.refused", source=source, reason=error.code_reason, cause=cause)

    def committed(self, size: int) -> None:
        """So many events were stored in one commit."""
        self._commits.observe(size)

    def settled(self, settled: Settled) -> None:
        """A try was settled."""
        event, settlement = settled.claimed.event, settled.settlement
        labels = self._labels.of(event.source, event.type)
        self._events.labels(*labels, settlement.state.lower()).inc()
        self._durations.labels(*labels).observe(settled.seconds)
        if settlement.state.ended:
            self._tries.labels(labels[0]).observe(settlement.progress.tries)
        log.info(
            "event.settled",
            event_id=event.id,
            request_id=event.headers.get("x-request-id"),  # of the delivery
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


class SenderMetrics:
    """What is counted of senders that we look after ourselves."""

    def __init__(self, metrics: Metrics) -> None:
        self._registered = metrics.gauge(
            "webhook_registered", "Whether our webhook is registered with a sender and delivers.", ["source"]
        )
        self._backfilled = metrics.counter(
            "webhook_backfilled_events",
            "Events found in senders' own records, that no webhook told.",
            ["source", "event_type"],
        )

    def registered(self, source: str, registered: bool) -> None:
        """We are, or are not."""
        self._registered.labels(source).set(registered)

    def backfilled(self, source: str, event_type: str) -> None:
        """An event was brought in."""
        known = event_type in BUILT_IN[source].types
        self._backfilled.labels(source, event_type if known else _OTHER).inc()


def _status(receipt: Receipt) -> str:
    if receipt.duplicate:
        return "duplicate"
    return "conflict" if receipt.conflict else "accepted"


class _Labels:
    """Names of sources and types as labels: people make sources, and senders make types, but labels stay few."""

    def __init__(self) -> None:
        self._types: dict[str, set[str]] = {}

    def of(self, source: str, event_type: str) -> tuple[str, str]:
        """The labels of a source that exists, and of one of its types."""
        built_in = BUILT_IN.get(source)
        if built_in is not None:
            return source, built_in.label(event_type)
        if source not in self._types and len(self._types) >= _MOST_SOURCES:
            return _OTHER, _OTHER
        types = self._types.setdefault(source, set())
        if event_type and len(types) < _MOST_TYPES:
            types.add(event_type)
        return source, event_type if event_type in types else _OTHER
