"""What upkeep counts: findings by kind, who did it last, and what waits."""

from datetime import UTC, datetime, timedelta

from libs.telemetry.metrics import Metrics
from services.webhooks.domain.event import State
from services.webhooks.domain.reconciling import Finding, Kind
from services.webhooks.upkeep.metrics import UpkeepMetrics

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def value(metrics: Metrics, name: str) -> float | None:
    """The value behind a line of the exposition; None where there is no such line."""
    found = [line for line in metrics.render().decode().splitlines() if line.startswith(f"lockgroove_webhook_{name} ")]
    return float(found[0].rpartition(" ")[2]) if found else None


def test_findings_are_counted_by_kind_and_each_kind_is_there_from_the_start() -> None:
    metrics = Metrics()
    upkeep = UpkeepMetrics(metrics)

    upkeep.found(Finding(kind=Kind.WORK_MISSING, subject="events/evt-1", correction="made"))
    upkeep.reconciled(1, 0.2)

    assert value(metrics, 'reconciliation_findings_total{kind="work_missing"}') == 1
    assert value(metrics, 'reconciliation_findings_total{kind="unknown"}') == 0
    assert value(metrics, "reconciliation_duration_seconds_count") == 1


def test_everybody_shows_when_it_was_done_last_and_who_did_it() -> None:
    metrics = Metrics()
    upkeep = UpkeepMetrics(metrics)

    upkeep.last_reconciled(NOON, here=True)

    assert value(metrics, "reconciliation_last_run_timestamp_seconds") == NOON.timestamp()
    assert value(metrics, 'upkeep_leader{lease="reconciler"}') == 1


def test_missing_days_are_shown() -> None:
    metrics = Metrics()
    upkeep = UpkeepMetrics(metrics)

    upkeep.partitions_missing(2)

    assert value(metrics, "partitions_missing") == 2


def test_the_backlog_is_shown_by_state_and_falls_to_nothing() -> None:
    metrics = Metrics()
    upkeep = UpkeepMetrics(metrics)

    upkeep.backlog({State.RETRY: (3, timedelta(seconds=90))})
    assert value(metrics, 'backlog_state_events{state="retry"}') == 3
    assert value(metrics, 'backlog_state_age_seconds{state="retry"}') == 90

    upkeep.backlog({})
    assert value(metrics, 'backlog_state_events{state="retry"}') == 0
    assert value(metrics, 'backlog_state_events{state="unmatched"}') == 0
    assert value(metrics, 'backlog_state_events{state="done"}') is None
