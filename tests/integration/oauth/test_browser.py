"""A browser comes back from the provider: the gateway ends the authorization, and tells nobody what it was told."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from deploy.demo.spotify.world import SpotifyWorld
from libs.telemetry import Telemetry
from services.gateway.app import open_app
from services.gateway.settings import Settings
from tests.integration.config.conftest import ADMIN_KEY, ROOT_KEY, serving, settings_in
from tests.support.ports import free_ports
from tests.support.spans import RecordingTracer

_SECRET = "canary-client-secret-8f20"


@dataclass
class Suite:
    """The config service, the gateway before it, and what their spans were told."""

    client: httpx.AsyncClient
    home: Path
    traces: RecordingTracer

    async def callback(self) -> str:
        """Where the provider sends a browser back to, as a path of the gateway."""
        begun = await self.client.post("/api/v1/oauth/spotify:authorize", json={})
        async with httpx.AsyncClient() as browser:
            location = (await browser.get(begun.json()["authorizationUrl"])).headers["location"]
        back = urlsplit(location)
        return f"{back.path}?{back.query}"


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> RecordingTracer:
    """In the place of the tracers of both services, whose logs come as they are printed."""
    tracer = RecordingTracer()

    @contextmanager
    def recording(service: str, _options: object) -> Iterator[Telemetry]:
        yield Telemetry(service, tracer=tracer)

    for module in ("services.config.ground", "services.gateway.ground"):
        monkeypatch.setattr(f"{module}.open_telemetry", recording)
    return tracer


@pytest.fixture
async def suite(tmp_path: Path, spotify: SpotifyWorld, traces: RecordingTracer) -> AsyncIterator[Suite]:
    spotify.client_secret = _SECRET
    environment = {
        "SPOTIFY_CLIENT_ID": spotify.client_id,
        "SPOTIFY_CLIENT_SECRET": _SECRET,
        "SPOTIFY_ACCOUNTS_URL": spotify.url,
    }
    own, stop, (acquisition, webhooks) = settings_in(tmp_path), asyncio.Event(), free_ports(2)
    settings = Settings(
        home=tmp_path,
        port=0,
        config=own.listen,
        acquisition=f"127.0.0.1:{acquisition}",
        webhooks=f"127.0.0.1:{webhooks}",
        secret_key=ROOT_KEY,
    )
    async with serving(own, environment), open_app(settings) as gateway, asyncio.TaskGroup() as group:
        group.create_task(gateway.serve(stop))
        url, headers = f"http://{gateway.server.address}", {"x-api-key": ADMIN_KEY}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client:
            yield Suite(client, tmp_path, traces)
        stop.set()


async def test_coming_back_connects_the_account(suite: Suite) -> None:
    page = await suite.client.get(await suite.callback(), headers={"x-api-key": ""})

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "spotify is connected for" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "unsafe-inline" not in page.headers["content-security-policy"]
    token = (await suite.client.get("/api/oauth/token-status?service=spotify")).json()
    assert (token["status"], token["isExpired"]) == ("ACTIVE", False)


async def test_coming_back_twice_says_that_it_is_over(suite: Suite) -> None:
    callback = await suite.callback()
    await suite.client.get(callback)

    again = await suite.client.get(callback)

    assert again.status_code == 400
    assert "used before" in again.text


async def test_who_only_looks_a_link_over_does_not_use_it_up(suite: Suite) -> None:
    callback = await suite.callback()

    assert (await suite.client.head(callback)).status_code == 405
    assert (await suite.client.get(callback)).status_code == 200


async def test_a_query_that_no_provider_sends_is_no_more_than_refused(suite: Suite) -> None:
    queries = ["", "?state=a&state=b&code=c", "?state=%3Cscript%3E&code=%00", "?state=x&error=<script>"]

    for query in [*queries, f"?state={'x' * 501}"]:
        for service in ("spotify", "<script>"):
            page = await suite.client.get(f"/api/oauth/callback/{service}{query}")
            assert page.status_code == 400
            assert "<script>" not in page.text


async def test_the_paths_that_were_promised_serve(suite: Suite) -> None:
    await suite.client.get(await suite.callback())
    body = {"service": "spotify"}

    refreshed = (await suite.client.post("/api/oauth/refresh-token", json=body)).json()
    revoked = (await suite.client.post("/api/oauth/revoke-tokens", json=body)).json()
    gone = await suite.client.post("/api/oauth/refresh-token", json=body)

    assert refreshed["refreshCount"] == 1
    assert [(each["service"], each.get("atProvider", False)) for each in revoked["revoked"]] == [("spotify", False)]
    assert (gone.status_code, gone.json()["reason"]) == (400, "NO_REFRESH_TOKEN")
    missing = await suite.client.get("/api/oauth/token-status", params={"service": "spotify", "userId": "nobody"})
    assert (missing.status_code, missing.json()["reason"]) == (404, "NO_TOKENS_FOUND")


async def test_nothing_of_it_is_told_or_kept_readable(
    suite: Suite, spotify: SpotifyWorld, capfd: pytest.CaptureFixture[str]
) -> None:
    callback, client = await suite.callback(), suite.client
    answers: list[Any] = [
        await client.get(callback),
        await client.get(callback),
        await client.get(callback.replace("/spotify", "/spotify/more")),
        await client.post("/api/v1/oauth/spotify:complete", json={"state": spotify.given[0], "code": spotify.given[1]}),
        await client.post("/api/oauth/refresh-token", json={"service": "spotify"}),
        await client.get("/api/oauth/token-status?service=spotify"),
        await client.get("/api/v1/oauth/tokens"),
        await client.get("/api/metrics"),
    ]
    kept = b"".join(path.read_bytes() for path in suite.home.glob("config.db*"))

    said = "".join(f"{each.headers} {each.text}" for each in answers)
    told = {"answers": said.encode(), "logs": capfd.readouterr().out.encode(), "database": kept}
    told["traces"] = "".join(suite.traces.told).encode()
    assert len(spotify.given) >= 6
    assert [len(text) > 500 for text in told.values()] == [True] * 4
    secrets = [*spotify.given, _SECRET]
    assert [(place, secret) for place, text in told.items() for secret in secrets if secret.encode() in text] == []
