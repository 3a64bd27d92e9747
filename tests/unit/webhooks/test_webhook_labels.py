"""Labels stay few, whatever people name their sources and senders name their events."""

from libs.errors import NotFound
from libs.telemetry.metrics import Metrics
from services.webhooks.domain.event import NewEvent, Receipt
from services.webhooks.domain.source import SourceConfig, configured
from services.webhooks.domain.verification.plain import Loopback
from services.webhooks.domain.verification.refusal import CredentialRefused
from services.webhooks.metrics import WebhookMetrics
from tests.support.lidarr_webhooks import NOON, delivery


def store(metrics: WebhookMetrics, source: str, event_type: str) -> None:
    event = NewEvent(id="evt-1", source=source, type=event_type, key="1", headers={}, body=b"", received_at=NOON)
    made = configured(SourceConfig(name=source, verification=Loopback()))
    metrics.stored(made, event, Receipt(event_id="evt-1", duplicate=False), 0.01)


def lines(metrics: Metrics, name: str) -> list[str]:
    return [line for line in metrics.render().decode().splitlines() if line.startswith(name)]


def test_a_source_made_at_run_time_is_counted_under_its_name_and_its_first_types() -> None:
    metrics = Metrics()
    webhooks = WebhookMetrics(metrics)

    for number in range(1000):
        store(webhooks, "hub", f"type-{number}")

    found = [line for line in lines(metrics, "lockgroove_webhook_events_total") if "accepted" in line]
    assert len(found) == 21
    assert 'lockgroove_webhook_events_total{event_type="other",source="hub",status="accepted"} 980.0' in found


def test_many_sources_share_a_label() -> None:
    metrics = Metrics()
    webhooks = WebhookMetrics(metrics)

    for number in range(1000):
        store(webhooks, f"source-{number}", "")

    assert len(lines(metrics, "lockgroove_webhook_ingest_seconds_count")) == 101


def test_addresses_that_nobody_made_get_no_label_of_their_own() -> None:
    metrics = Metrics()
    webhooks = WebhookMetrics(metrics)

    for number in range(1000):
        webhooks.refused(delivery(b"", source=f"made-up-{number}"), NotFound("no", reason="SOURCE_UNKNOWN"))
    webhooks.refused(delivery(b"", source="hub"), CredentialRefused("mismatch"))

    assert lines(metrics, "lockgroove_webhook_rejections_total") == [
        'lockgroove_webhook_rejections_total{reason="SOURCE_UNKNOWN",source="other"} 1000.0',
        'lockgroove_webhook_rejections_total{reason="WEBHOOK_CREDENTIAL_REFUSED",source="hub"} 1.0',
    ]
