"""Canaries in the place of every secret: whatever is answered, printed, counted or stored, none of them is in it."""

import base64
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from deploy.demo.world import World
from libs.crypto import service_token
from tests.support.albums import wanted
from tests.support.commands import run
from tests.support.otlp_sink import OtlpSink, open_sink
from tests.support.suite import Suite, running_suite, suite_environment
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

_ROOT = "canary-root-key-58c1f0a7d2b94e6395aa"
_ADMIN = "lg_canary-admin-key-91b7"
_PATCHED = {"lidarr": {"apiKey": "canary-patched-key-6e"}, "soulseek": {"password": "canary-patched-password-a4"}}
_REFUSED = "canary-refused-key-c0"
_TOKEN = "canary-source-token-19"
_GUESSED = "canary-guessed-address-5b"
_BASIC = base64.b64encode(b"lidarr:canary-basic-guess-77").decode()
_GIVEN = (
    "LIDARR_API_KEY",
    "LIDARR_WEBHOOK_SECRET",
    "LOCKGROOVE_ADMIN_KEY",
    "LOCKGROOVE_SECRET_KEY",
    "SOULSEEK_PASSWORD",
)
_STREAMS = (":watch", "/api/events")
_STREAM_SECONDS = 1.0  # that a stream is followed
_GARBAGE = b'{"lidarr": {"apiKey": 7}, "album": {"artist": "\xff'


@dataclass
class Observed:
    """A suite that has been driven through all that it offers, and what it said to it."""

    suite: Suite
    home: Path
    traces: OtlpSink
    canaries: list[str]
    said: list[str] = field(default_factory=list)

    def note(self, what: str, answer: httpx.Response, body: bytes) -> None:
        """Keep all of an answer."""
        self.said.append(f"{what}: {answer.status_code} {answer.headers} {body.decode(errors='replace')}")

    def leaks(self, text: str) -> list[str]:
        """The canaries in a text."""
        return [canary for canary in self.canaries if canary in text]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def observed(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Observed]:
    home = tmp_path_factory.mktemp("home")
    secrets = {"LOCKGROOVE_SECRET_KEY": _ROOT, "LOCKGROOVE_ADMIN_KEY": _ADMIN}
    async with open_sink() as traces:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": traces.endpoint}
        environment = suite_environment(home, {**world.environment, **secrets, **traced})
        async with _driven(environment, world, traces) as seen:
            yield seen


@asynccontextmanager
async def _driven(environment: dict[str, str], world: World, traces: OtlpSink) -> AsyncIterator[Observed]:
    home = Path(environment["LOCKGROOVE_HOME"])
    given = [environment[name] for name in _GIVEN]
    patched = [value for subject in _PATCHED.values() for value in subject.values()]
    async with running_suite(environment) as suite:
        suite.client.headers["X-Api-Key"] = suite.key = _ADMIN
        own = [service_token(_ROOT.encode()), _REFUSED, _BASIC, _TOKEN, _GUESSED]
        seen = Observed(suite, home, traces, [*given, *patched, *own])
        await _deliver(seen)
        await _work(seen, world)
        await _drive(seen)
        yield seen


async def _deliver(seen: Observed) -> None:
    """Let the secrets of sources be used, rightly and wrongly; the one that was made is told once, and not noted."""
    client = seen.suite.client
    token = {"verification": {"headerToken": {"header": "X-Odd"}}, "secret": _TOKEN}
    answer = await client.post("/api/v1/sources?sourceId=token", json=token)
    seen.note("POST", answer, answer.content)
    door = (await client.post("/api/v1/sources?sourceId=door", json={"verification": {"secretUrl": {}}})).json()
    seen.canaries.append(door["issuedSecret"])
    for path, headers, status in [
        ("token", {"X-Odd": _TOKEN}, 202),
        ("token", {"X-Odd": _REFUSED, "X-More": _REFUSED}, 401),
        ("nowhere", {"X-Odd": _TOKEN}, 404),
        (f"door/{door['issuedSecret']}", {}, 202),
        (f"door/{_GUESSED}", {}, 404),
        (f"lidarr/{_GUESSED}", {}, 404),
        (f"door/{_GUESSED}/more", {}, 404),
    ]:
        answer = await client.post(f"/api/webhooks/{path}", json={"id": 1}, headers=headers)
        seen.note(f"POST {path.partition('/')[0]}", answer, answer.content)
        assert answer.status_code == status


async def _work(seen: Observed, world: World) -> None:
    """Let secrets be used: an album with those of the environment, and one with those that are set, which are wrong."""
    client = seen.suite.client
    right = {"X-Webhook-Secret": world.environment["LIDARR_WEBHOOK_SECRET"]}
    assert (await client.post("/api/webhooks/lidarr", json={"eventType": "Test"}, headers=right)).status_code == 202
    arrived = await seen.suite.request(album=wanted(world.albums.ten_times), source="SOULSEEK")
    assert (await seen.suite.ended(arrived["name"]))["state"] == "COMPLETED"
    answer = await client.patch("/api/v1/settings", json=_PATCHED)
    seen.note("PATCH", answer, answer.content)

    name = (await seen.suite.request(album=wanted(world.albums.by_lidarr), source="LIDARR"))["name"]

    assert (await seen.suite.ended(name))["failure"]["reason"] == "LIDARR_REFUSED_KEY"


async def _drive(seen: Observed) -> None:
    """Call every operation that the description lists: rightly, with garbage, with another key and without one."""
    client = seen.suite.client
    operations = list(_operations((await client.get("/api/openapi.json")).json(), await _names(client)))
    assert len(operations) > 15
    for verb, path in operations:
        for headers in ({}, {"X-Api-Key": _REFUSED}, {"X-Api-Key": ""}, {"Authorization": f"Basic {_BASIC}"}):
            await _call(seen, verb, path, {**headers, "X-Webhook-Secret": _REFUSED}, b"{}")
        await _call(seen, verb, path, {}, _GARBAGE)


async def _names(client: httpx.AsyncClient) -> dict[str, str]:
    lists = {name: (await client.get(f"/api/v1/{name}s")).json()[f"{name}s"] for name in ("acquisition", "event")}
    ids = {name: found[0]["name"].partition("/")[2] for name, found in lists.items()}
    return defaultdict(lambda: "nobody", {**ids, "source": "lidarr"})


def _operations(document: dict[str, Any], names: dict[str, str]) -> Iterator[tuple[str, str]]:
    for path, item in document["paths"].items():
        for verb in item:
            yield verb.upper(), path.format_map(names)


async def _call(seen: Observed, verb: str, path: str, headers: dict[str, str], body: bytes) -> None:
    content = b"" if verb == "GET" else body
    timeout = httpx.Timeout(20, read=_STREAM_SECONDS if path.endswith(_STREAMS) else 20)
    request = seen.suite.client.build_request(
        verb, path, headers={"Content-Type": "application/json", **headers}, content=content, timeout=timeout
    )
    answer = await seen.suite.client.send(request, stream=True)
    pieces: list[bytes] = []
    try:
        async for piece in answer.aiter_bytes():
            pieces.append(piece)
    except httpx.ReadTimeout:
        assert path.endswith(_STREAMS)
    finally:
        await answer.aclose()
    seen.note(f"{verb} {path}", answer, b"".join(pieces))


async def test_no_answer_tells_a_secret(observed: Observed) -> None:
    assert len(observed.said) > 80
    assert not [said for said in observed.said if observed.leaks(said)]


async def test_nothing_that_is_printed_tells_a_secret(observed: Observed) -> None:
    assert len(observed.suite.lines) > 20
    assert not [line for line in observed.suite.lines if observed.leaks(line)]


async def test_traces_tell_no_secret(observed: Observed) -> None:
    async def arrived() -> bool:
        return len(observed.traces.exports) > 5

    await eventually(arrived)

    assert not [export for export in observed.traces.exports if observed.leaks(export.decode("latin-1"))]


async def test_metrics_tell_no_secret(observed: Observed) -> None:
    assert not observed.leaks((await observed.suite.client.get("/api/metrics")).text)


async def test_nothing_that_is_stored_holds_a_secret(observed: Observed) -> None:
    files = [path for path in observed.home.rglob("*") if path.is_file()]

    assert {path.suffix for path in files} >= {".db", ".db-wal"}
    assert not [path for path in files if observed.leaks(path.read_bytes().decode("latin-1"))]


async def test_headers_of_events_are_kept_without_their_secrets(observed: Observed) -> None:
    client = observed.suite.client
    answer = await client.post("/api/webhooks/token", json={"id": 2}, headers={"X-Odd": _TOKEN, "X-Told": "told"})

    headers = (await client.get(f"/api/v1/events/{answer.json()['eventId']}")).json()["headers"]

    assert headers["x-odd"] == headers["x-api-key"] == "[redacted]"
    assert headers["x-told"] == "told"


async def test_snapshots_with_secrets_are_for_services_only(observed: Observed) -> None:
    method = "lockgroove.config.v1.ConfigService/WatchSnapshots"
    address = observed.suite.address("config")

    ran = await run("grpcurl", "-plaintext", "-max-time", "5", "-H", f"x-api-key: {_ADMIN}", address, method)

    assert ran.status != 0
    assert "PermissionDenied" in ran.output
    assert not observed.leaks(ran.output)


async def test_what_is_set_is_listed_without_its_value(observed: Observed) -> None:
    settings = (await observed.suite.client.get("/api/v1/settings")).json()

    assert set(settings["secretsSet"]) == {"lidarr.apiKey", "lidarr.webhookSecret", "soulseek.password"}
    assert settings["sources"]["lidarr.apiKey"] == "DATABASE"
    assert settings["sources"]["lidarr.webhookSecret"] == "ENVIRONMENT"
    assert "apiKey" not in json.dumps(settings["lidarr"])
