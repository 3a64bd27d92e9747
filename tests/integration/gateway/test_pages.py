"""What the gateway serves itself: health, metrics, the description, the page."""

import re
from functools import partial
from importlib.resources import files
from pathlib import Path

import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.acquisition.v1.acquisition_pb2 import KillSwitch
from openapi_spec_validator import OpenAPIV31SpecValidator

from libs.telemetry.options import TelemetryOptions
from services.gateway.settings import Settings
from tests.integration.gateway.conftest import Suite
from tests.support.waiting import eventually


@pytest.fixture
async def anonymous(suite: Suite) -> httpx.AsyncClient:
    suite.client.headers.pop("x-api-key")
    return suite.client


async def test_a_suite_that_serves_is_ready_and_healthy(anonymous: httpx.AsyncClient) -> None:
    ready = await anonymous.get("/api/ready")
    health = (await anonymous.get("/api/health")).json()

    assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})
    assert (health["status"], set(health["services"])) == ("healthy", {"acquisition", "webhooks", "config"})
    assert health["services"]["config"]["status"] == "SERVING"
    assert health["services"]["config"]["since"].endswith("Z")
    assert health["version"]


async def test_health_tells_whether_the_kill_switch_is_on_but_not_who_and_why(
    suite: Suite, anonymous: httpx.AsyncClient
) -> None:
    suite.acquisitions.switch = KillSwitch(
        enabled=True, actor="ann", reason="a new disk", update_time=Timestamp(seconds=1_800_000_000)
    )

    switch = (await anonymous.get("/api/health")).json()["killSwitch"]

    assert switch == {"enabled": True, "since": "2027-01-15T08:00:00.000Z", "readable": True}


async def test_health_follows_the_kill_switch_in_both_directions(suite: Suite, anonymous: httpx.AsyncClient) -> None:
    async def shows(enabled: bool) -> bool:
        return (await anonymous.get("/api/health")).json()["killSwitch"]["enabled"] is enabled

    for enabled in (True, False):
        suite.acquisitions.switch = KillSwitch(enabled=enabled)
        assert await eventually(partial(shows, enabled))


async def test_a_kill_switch_that_cannot_be_read_counts_as_on(suite: Suite, anonymous: httpx.AsyncClient) -> None:
    suite.acquisitions.switch = None

    switch = (await anonymous.get("/api/health")).json()["killSwitch"]

    assert switch == {"enabled": True, "since": None, "readable": False}


async def test_a_suite_without_services_is_alive_but_not_ready(settings: Settings) -> None:
    lonely = Suite(settings)
    async with lonely.gateway():
        live = await lonely.client.get("/api/live")
        ready = await lonely.client.get("/api/ready")
        health = await lonely.client.get("/api/health")

    assert (live.status_code, ready.status_code, health.status_code) == (200, 503, 200)
    assert {"config: UNREACHABLE", "gateway: SETTINGS_ABSENT"} <= set(ready.json()["reasons"])
    assert health.json()["status"] == "unhealthy"
    assert health.json()["killSwitch"]["enabled"]


async def test_metrics_are_those_of_the_whole_suite(anonymous: httpx.AsyncClient) -> None:
    await anonymous.get("/api/v1/acquisitions/acq-1")

    lines = (await anonymous.get("/api/metrics")).text.splitlines()

    assert 'lockgroove_up{service="config"} 1' in lines
    assert 'lockgroove_up{service="gateway"} 1' in lines
    route = 'method="GET",route="/api/v1/{name=acquisitions/*}",status="401"'
    assert f'lockgroove_http_requests_total{{service="gateway",{route}}} 1.0' in lines
    assert any(line.startswith('lockgroove_rpc_requests_total{service="AcquisitionService"') for line in lines) is False
    assert any(line.startswith('lockgroove_rpc_requests_total{service="acquisition"') for line in lines)
    heads = [line for line in lines if line.startswith("# TYPE ")]
    assert len(heads) == len(set(heads))


async def test_a_service_that_is_down_is_told(settings: Settings) -> None:
    lonely = Suite(settings)
    async with lonely.gateway():
        text = (await lonely.client.get("/api/metrics")).text

    assert 'lockgroove_up{service="webhooks"} 0' in text


async def test_unknown_paths_share_one_label(anonymous: httpx.AsyncClient) -> None:
    await anonymous.get("/a/b/c")

    assert 'route="unknown",status="404"' in (await anonymous.get("/api/metrics")).text


async def test_the_description_is_valid_and_complete(anonymous: httpx.AsyncClient) -> None:
    document = (await anonymous.get("/api/openapi.json")).json()

    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert {"/api/v1/acquisitions/{acquisition}:cancel", "/api/webhooks/{source}/verify", "/api/v1/settings"} <= set(
        document["paths"]
    )
    assert document["paths"]["/api/webhooks/{source}/verify"]["get"]["security"] == []
    artist = document["components"]["schemas"]["lockgroove.acquisition.v1.Album"]["properties"]["artist"]
    assert artist["anyOf"][1]["maxLength"] == 300


async def test_who_has_the_description_already_is_not_sent_it_again(anonymous: httpx.AsyncClient) -> None:
    etag = (await anonymous.get("/api/openapi.json")).headers["etag"]

    again = await anonymous.get("/api/openapi.json", headers={"if-none-match": etag})

    assert (again.status_code, again.content) == (304, b"")


async def test_the_page_comes_with_all_it_needs(anonymous: httpx.AsyncClient) -> None:
    start = await anonymous.get("/", follow_redirects=True)
    script = await anonymous.get("/api/docs/docs.js")
    style = await anonymous.get("/api/docs/docs.css")

    assert start.url.path == "/api/docs"
    assert "script-src 'self'" in start.headers["content-security-policy"]
    assert "unsafe-inline" not in start.headers["content-security-policy"]
    assert [page.status_code for page in (start, script, style)] == [200, 200, 200]
    assert script.headers["content-type"].startswith("text/javascript")


def test_the_page_names_no_other_host() -> None:
    pages = files("services.gateway") / "pages"

    for page in pages.iterdir():
        assert not re.findall(r"(?:https?:|[\"'(])//\S*", page.read_text()), page.name


async def test_a_taken_port_is_told_clearly(suite: Suite, tmp_path: Path) -> None:
    port = int(suite.address.rpartition(":")[2])
    second = Suite(Settings(home=tmp_path, port=port, telemetry=TelemetryOptions(level="ERROR"), secret_key="x" * 40))

    with pytest.raises(Exception, match=f"cannot listen on 127.0.0.1:{port}"):
        async with second.gateway():
            pass
