"""One suite works through two albums, and everything that it tells about that is looked at: metrics, spans, lines."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.parser import text_string_to_metric_families

from deploy.demo.lidarr.registration import registered
from deploy.demo.world import World
from deploy.monitoring.catalogue import catalogue
from tests.support.albums import wanted
from tests.support.otlp_sink import OtlpSink, Sent, open_sink
from tests.support.suite import SERVICES, Json, Suite, running_suite, suite_environment
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "200"}  # milliseconds until spans are sent
MADE_UP = "x-by-a-stranger"
TRACE_ID = "ab" * 16
MOVED_BY_ALBUMS = {
    "build_info",
    "component_since_timestamp_seconds",
    "cleanup_duration_seconds",
    "component_up",
    "disk_free_bytes",
    "disk_total_bytes",
    "disk_writable",
    "download_job_duration_seconds",
    "download_jobs_total",
    "event_loop_lag_seconds",
    "http_duration_seconds",
    "http_requests_total",
    "lease_operations_total",
    "lidarr_api_calls_total",
    "lidarr_api_duration_seconds",
    "rpc_duration_seconds",
    "rpc_requests_total",
    "settings_reloads_total",
    "settings_revision",
    "soulseek_connection_status",
    "soulseek_download_duration_seconds",
    "soulseek_downloaded_bytes_total",
    "soulseek_downloads_total",
    "soulseek_logins_total",
    "soulseek_search_duration_seconds",
    "soulseek_searches_total",
    "sql_statement_duration_seconds",
    "sql_transaction_duration_seconds",
    "sql_wait_seconds",
    "up",
    "uptime_seconds",
    "webhook_commit_events",
    "webhook_delivery_duration_seconds",
    "webhook_event_tries",
    "webhook_events_total",
    "webhook_ingest_seconds",
    "webhook_processing_duration_seconds",
    "webhook_reconciliation_duration_seconds",
    "webhook_reconciliation_last_run_timestamp_seconds",
    "webhook_registered",
    "work_claims_total",
    "work_duration_seconds",
    "work_runs_total",
}


@dataclass(frozen=True)
class Told:
    """A suite that brought an album from Soulseek and one through Lidarr, and where its spans went."""

    suite: Suite
    sink: OtlpSink
    by_soulseek: Json
    by_lidarr: Json

    async def spans(self, album: Json, *names: str) -> list[Sent]:
        """The trace of an album, once these spans are in it."""
        traces = {line["trace_id"] for line in lines(self.suite) if album["name"].endswith(str(line.get("job")))}
        assert len(traces) == 1

        async def whole() -> list[Sent]:
            trace = [sent for sent in self.sink.spans if sent.trace_id in traces]
            return trace if set(names) <= {sent.span.name for sent in trace} else []

        return await eventually(whole)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Told]:
    async with open_sink() as sink:
        extra = {**world.environment, **QUICK, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
        async with running_suite(suite_environment(tmp_path_factory.mktemp("home"), extra)) as suite:
            await registered(world.environment, suite.url)
            asked = [
                await suite.request(album=wanted(world.albums.ten_times), source="SOULSEEK"),
                await suite.request(album=wanted(world.albums.by_lidarr), source="LIDARR"),
            ]
            ended = [await suite.ended(each["name"]) for each in asked]
            assert [each["state"] for each in ended] == ["COMPLETED", "COMPLETED"]
            yield Told(suite, sink, *ended)


def lines(suite: Suite) -> list[Json]:
    """What the services logged; each line stands behind its service's name."""
    pairs = [line.partition("| ") for line in suite.lines]
    return [{"by": by.strip()} | json.loads(text) for by, _, text in pairs if text.startswith("{")]


async def samples(suite: Suite) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """The values of every metric, by its name and the labels of its samples."""
    text = (await suite.client.get("/api/metrics")).text
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: {
            ((sample.name, ""), *sorted(sample.labels.items())): sample.value for sample in family.samples
        }
        for family in text_string_to_metric_families(text)
    }


async def test_what_runs_tells_the_metrics_of_the_catalogue_and_no_other(told: Told) -> None:
    known = {name: set(metric.all_labels) for name, metric in catalogue().items()}

    found = await samples(told.suite)

    unconfigured = {"lockgroove_tls_certificate_expiry_timestamp_seconds", "lockgroove_rates_shared"}
    assert known.keys() - found.keys() - unconfigured == {"lockgroove_redis_duration_seconds"}
    assert found.keys() - known.keys() == set()
    for name, series in found.items():
        assert {label for labels in series for label, _ in labels[1:]} - {"le"} <= known[name], name


async def test_two_albums_move_what_they_should(told: Told) -> None:
    async def moved() -> set[str] | None:
        found = await samples(told.suite)
        moved = {name for name in MOVED_BY_ALBUMS if any(found[f"lockgroove_{name}"].values())}
        missing.clear()
        missing.update(MOVED_BY_ALBUMS - moved)
        return None if missing else moved

    missing: set[str] = set()
    with suppress(AssertionError):
        await eventually(moved, within=15)
    assert missing == set()


async def test_every_step_of_an_acquisition_is_logged_under_the_request_that_made_it(told: Told) -> None:
    headers = {"X-Request-Id": "req-from-a-person", "traceparent": f"00-{TRACE_ID}-{'cd' * 8}-01"}
    album = {"artist": "Nobody", "title": "Nothing"}
    answer = await told.suite.client.post("/api/v1/acquisitions", json={"album": album}, headers=headers)
    acquisition = answer.json()["name"].removeprefix("acquisitions/")

    async def moves() -> list[Json]:
        moved = [line for line in lines(told.suite) if line["event"] == "acquisition.moved"]
        return [line for line in moved if line["job"] == acquisition]

    moved = await eventually(moves)

    assert answer.headers["X-Request-Id"] == "req-from-a-person"
    assert {(move["request_id"], move["trace_id"]) for move in moved} == {("req-from-a-person", TRACE_ID)}


async def test_nothing_that_strangers_make_up_becomes_a_label_or_the_name_of_a_span(told: Told) -> None:
    suite = told.suite
    secret = {"X-Webhook-Secret": suite.environment["LIDARR_WEBHOOK_SECRET"]}
    async with httpx.AsyncClient(base_url=suite.url, trust_env=False) as stranger:
        await stranger.get(f"/{MADE_UP}", headers={"X-Api-Key": MADE_UP, "traceparent": MADE_UP})
        await stranger.request(MADE_UP.upper(), "/api/v1/acquisitions")
        await stranger.post(f"/api/webhooks/{MADE_UP}", json={"eventType": MADE_UP})
    await suite.client.get(f"/api/v1/acquisitions/{MADE_UP}", headers={"User-Agent": MADE_UP})
    answer = await suite.client.post("/api/webhooks/lidarr", json={"eventType": MADE_UP}, headers=secret)

    async def settled() -> bool:
        event = await suite.client.get(f"/api/v1/events/{answer.json()['eventId']}")
        return event.json()["state"] not in ("RECEIVED", "PROCESSING")

    await eventually(settled)
    text = (await suite.client.get("/api/metrics")).text
    names = " ".join(sent.span.name for sent in told.sink.spans)
    assert 'route="unknown"' in text
    assert 'event_type="other"' in text
    assert MADE_UP not in f"{text} {names}".lower()


def above(trace: list[Sent], sent: Sent) -> Sent | None:
    return next((each for each in trace if each.span.span_id == sent.span.parent_span_id), None)


async def test_one_trace_leads_from_the_rest_call_to_the_last_byte_of_the_album(told: Told) -> None:
    trace = await told.spans(told.by_soulseek, "soulseek download", "work soulseek", "POST /api/v1/acquisitions")

    downloads = [sent for sent in trace if sent.span.name == "soulseek download"]
    path: list[tuple[str, str]] = []
    step: Sent | None = downloads[0]
    while step is not None:
        path.append((step.service, step.span.name))
        step = above(trace, step)
    assert path == [
        ("acquisition", "soulseek download"),
        ("acquisition", "work soulseek"),
        ("acquisition", "lockgroove.acquisition.v1.AcquisitionService/CreateAcquisition"),
        ("gateway", "lockgroove.acquisition.v1.AcquisitionService/CreateAcquisition"),
        ("gateway", "POST /api/v1/acquisitions"),
    ]
    assert {sent.texts["status"] for sent in downloads} == {"success"}


async def test_each_step_has_a_link_across_the_queue_to_the_request_that_made_it(told: Told) -> None:
    trace = await told.spans(told.by_lidarr, "work lidarr", "POST /api/v1/acquisitions")

    made = "lockgroove.acquisition.v1.AcquisitionService/CreateAcquisition"
    (request,) = [sent.span for sent in trace if (sent.service, sent.span.name) == ("acquisition", made)]
    steps = [sent.span for sent in trace if sent.span.name == "work lidarr"]
    assert len(steps) > 1
    assert {step.kind for step in steps} == {Span.SPAN_KIND_CONSUMER}
    assert {(link.trace_id, link.span_id) for step in steps for link in step.links} == {
        (request.trace_id, request.span_id)
    }


async def test_calls_to_providers_and_transactions_are_spans_of_the_step_that_makes_them(told: Told) -> None:
    trace = await told.spans(told.by_lidarr, "GET lidarr", "POST lidarr", "work lidarr", "sql write")

    parents = {
        sent.span.name: {
            found.span.name for each in trace if each.span.name == sent.span.name if (found := above(trace, each))
        }
        for sent in trace
    }
    assert "work lidarr" in parents["GET lidarr"]
    assert "work lidarr" in parents["POST lidarr"]
    assert "work lidarr" in parents["sql read"] | parents["sql write"]


async def test_every_service_logs_as_much_as_the_settings_say_within_a_second(told: Told) -> None:
    for wished in ("DEBUG", None):
        seen = len(told.suite.lines)
        await told.suite.client.patch("/api/v1/settings", json={"telemetry": {"logLevel": wished}})

        async def changed(since: int = seen) -> bool:
            new = lines(told.suite)[-(len(told.suite.lines) - since) :]
            return {line["by"] for line in new if line["event"] == "log.level_changed"} == set(SERVICES)

        await eventually(changed, within=1)
