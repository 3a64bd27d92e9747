"""Numbers that no album moves: each is told here, and read as Prometheus would."""

from contextlib import suppress
from datetime import timedelta

import pytest

from libs.clock import SystemClock
from libs.outbound.metrics import OutboundMetrics
from libs.telemetry.metrics import Metrics
from services.acquisition.batches.metrics import BatchMetrics
from services.acquisition.metrics import AcquisitionMetrics, DownloadMetrics
from services.acquisition.soulseek.errors import Disconnected
from services.acquisition.soulseek.metrics import SoulseekMetrics
from services.webhooks.dead_letters.metrics import DeadLetterMetrics
from services.webhooks.domain.dead_letters import Summary
from services.webhooks.domain.event import DeadReason, State
from services.webhooks.domain.reconciling import Finding, Kind
from services.webhooks.metrics import SenderMetrics
from services.webhooks.upkeep.metrics import UpkeepMetrics


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def read(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"lockgroove_{name}", labels)


def test_batches_that_have_not_ended(metrics: Metrics) -> None:
    BatchMetrics(metrics).active(3)

    assert read(metrics, "active_batches") == 3


def test_files_that_arrive_and_have_arrived(metrics: Metrics) -> None:
    with DownloadMetrics(metrics, SystemClock(), prefix="slskd").downloading() as arrived:
        assert read(metrics, "slskd_downloads_running") == 1
        arrived.size = 700

    assert read(metrics, "slskd_downloads_running") == 0
    assert read(metrics, "slskd_downloaded_bytes_total") == 700
    assert read(metrics, "slskd_download_duration_seconds_count", status="success") == 1


def test_bytes_of_a_file_that_broke_off_are_not_counted(metrics: Metrics) -> None:
    soulseek = SoulseekMetrics(metrics, SystemClock()).downloads
    with suppress(OSError), soulseek.downloading() as arrived:
        arrived.size = 700
        assert read(metrics, "soulseek_downloads_running") == 1
        raise OSError("full")

    assert read(metrics, "soulseek_downloaded_bytes_total") == 0


def test_ids_of_albums_and_statuses_that_lidarr_made_up_are_no_labels(metrics: Metrics) -> None:
    with AcquisitionMetrics(metrics, SystemClock()).calling("/album/7") as call:
        call.answered(799)

    assert read(metrics, "lidarr_api_calls_total", endpoint="album", status="other") == 1


def test_a_session_that_ended_and_a_login_in_vain_are_two_things(metrics: Metrics) -> None:
    soulseek = SoulseekMetrics(metrics, SystemClock())
    soulseek.ended(Disconnected(), had_begun=True)
    soulseek.ended(Disconnected(), had_begun=False)

    reason = Disconnected().reason.lower()
    assert read(metrics, "soulseek_session_ends_total", reason=reason) == 1
    assert read(metrics, "soulseek_logins_total", outcome=reason) == 1


def test_how_long_calls_waited_for_their_turn(metrics: Metrics) -> None:
    OutboundMetrics(metrics, SystemClock()).waited("musicbrainz", 1.5)

    assert read(metrics, "outbound_wait_seconds_total", provider="musicbrainz") == 1.5
    assert read(metrics, "outbound_turn_wait_seconds_sum", provider="musicbrainz") == 1.5


def test_dead_letters_and_what_was_decided_of_them(metrics: Metrics) -> None:
    reason = next(iter(DeadReason))
    letters = DeadLetterMetrics(metrics)
    letters.waiting(Summary(by_reason={reason: 2}, oldest=timedelta(hours=1)))
    letters.discarded(2)

    assert read(metrics, "webhook_dead_letters", reason=reason.lower()) == 2
    assert read(metrics, "webhook_dead_letter_age_seconds") == 3600
    assert read(metrics, "webhook_dead_letters_decided_total", decision="discarded") == 2


def test_what_upkeep_found_and_what_waits(metrics: Metrics) -> None:
    upkeep, kind = UpkeepMetrics(metrics), next(iter(Kind))
    upkeep.found(Finding(kind=kind, subject="evt-1", correction="begun again"))
    upkeep.partitions_missing(2)
    upkeep.backlog({State.RETRY: (4, timedelta(seconds=9))})

    assert read(metrics, "webhook_reconciliation_findings_total", kind=kind.lower()) == 1
    assert read(metrics, "webhook_partitions_missing") == 2
    assert read(metrics, "webhook_backlog_state_events", state="retry") == 4
    assert read(metrics, "webhook_backlog_state_age_seconds", state="retry") == 9


def test_events_that_no_webhook_told(metrics: Metrics) -> None:
    SenderMetrics(metrics).backfilled("lidarr", "MadeUp")

    assert read(metrics, "webhook_backfilled_events_total", source="lidarr", event_type="other") == 1
