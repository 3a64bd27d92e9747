"""What is counted: every outcome, under labels that nobody outside can widen."""

from datetime import timedelta

from libs.errors import NotFound
from libs.telemetry.metrics import Metrics
from services.webhooks.domain.event import Event, NewEvent, Progress, Receipt, State
from services.webhooks.domain.lifecycle import Settlement
from services.webhooks.domain.processing import Claimed, Settled
from services.webhooks.domain.source import LIDARR
from services.webhooks.metrics import WebhookMetrics
from tests.support.lidarr_webhooks import NOON, delivery, grab


def new_event(event_type: str) -> NewEvent:
    return NewEvent(id="evt-1", source="lidarr", type=event_type, key="k", headers={}, body=b"", received_at=NOON)


def settled(event_type: str, source: str = "lidarr") -> Settled:
    event = Event(
        id="evt-1",
        source=source,
        type=event_type,
        state=State.PROCESSING,
        headers={},
        body=b"",
        body_size=0,
        received_at=NOON,
        updated_at=NOON,
        version=1,
    )
    settlement = Settlement(state=State.DONE, progress=Progress(tries=1))
    return Settled(claimed=Claimed(event=event, lease=None), settlement=settlement, seconds=0.2)


def lines(metrics: Metrics, name: str) -> list[str]:
    return [line for line in metrics.render().decode().splitlines() if line.startswith(name)]


def test_deliveries_are_counted_by_what_became_of_them() -> None:
    metrics = Metrics()
    webhooks = WebhookMetrics(metrics)

    webhooks.stored(LIDARR, new_event("Grab"), Receipt(event_id="evt-1", duplicate=False), 0.01)
    webhooks.stored(LIDARR, new_event("Grab"), Receipt(event_id="evt-1", duplicate=True), 0.01)
    webhooks.stored(LIDARR, new_event("Grab"), Receipt(event_id="evt-3", duplicate=False, conflict=True), 0.01)
    webhooks.stored(LIDARR, new_event("x" * 50), Receipt(event_id="evt-2", duplicate=False), 0.01)
    webhooks.refused(delivery(grab(), source="made-up"), NotFound("no"))

    assert lines(metrics, "lockgroove_webhook_events_total") == [
        'lockgroove_webhook_events_total{event_type="Grab",source="lidarr",status="received"} 3.0',
        'lockgroove_webhook_events_total{event_type="Grab",source="lidarr",status="accepted"} 1.0',
        'lockgroove_webhook_events_total{event_type="Grab",source="lidarr",status="duplicate"} 1.0',
        'lockgroove_webhook_events_total{event_type="Grab",source="lidarr",status="conflict"} 1.0',
        'lockgroove_webhook_events_total{event_type="other",source="lidarr",status="received"} 1.0',
        'lockgroove_webhook_events_total{event_type="other",source="lidarr",status="accepted"} 1.0',
        'lockgroove_webhook_events_total{event_type="other",source="other",status="received"} 1.0',
        'lockgroove_webhook_events_total{event_type="other",source="other",status="rejected"} 1.0',
    ]
    assert lines(metrics, "lockgroove_webhook_delivery_duration_seconds_count") == [
        'lockgroove_webhook_delivery_duration_seconds_count{source="lidarr"} 4.0',
    ]


def test_tries_are_counted_and_timed() -> None:
    metrics = Metrics()
    webhooks = WebhookMetrics(metrics)

    webhooks.settled(settled("Grab"))
    webhooks.settled(settled("Grab", source="gone"))

    assert lines(metrics, "lockgroove_webhook_events_total") == [
        'lockgroove_webhook_events_total{event_type="Grab",source="lidarr",status="done"} 1.0',
        'lockgroove_webhook_events_total{event_type="Grab",source="gone",status="done"} 1.0',
    ]
    assert lines(metrics, "lockgroove_webhook_event_tries_sum") == [
        'lockgroove_webhook_event_tries_sum{source="lidarr"} 1.0',
        'lockgroove_webhook_event_tries_sum{source="gone"} 1.0',
    ]
    assert lines(metrics, "lockgroove_webhook_processing_duration_seconds_count") == [
        'lockgroove_webhook_processing_duration_seconds_count{event_type="Grab",source="lidarr"} 1.0',
        'lockgroove_webhook_processing_duration_seconds_count{event_type="Grab",source="gone"} 1.0',
    ]


def test_the_backlog_is_shown_with_its_age() -> None:
    metrics = Metrics()

    WebhookMetrics(metrics).backlog(7, timedelta(seconds=90))

    assert lines(metrics, "lockgroove_webhook_backlog") == [
        "lockgroove_webhook_backlog_events 7.0",
        "lockgroove_webhook_backlog_age_seconds 90.0",
    ]
