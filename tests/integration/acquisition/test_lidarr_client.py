"""What a server at Lidarr's address may answer, and what the client makes of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from deploy.demo.loopback_http import serving
from libs.clock import ManualClock
from libs.rpc.components import State
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.album import Album
from services.acquisition.domain.lidarr import LidarrRefusedKey, LidarrUnavailable
from services.acquisition.lidarr.client import LidarrAddress, LidarrClient, LidarrGone, LidarrRuleBroken
from services.acquisition.lidarr.limits import FAILURES_THAT_OPEN, OPEN_FOR, Breaker, Pace
from services.acquisition.lidarr.source import LidarrChoices, LidarrSource
from services.acquisition.metrics import AcquisitionMetrics
from services.acquisition.status import probe_lidarr
from tests.support.spans import RecordingTracer

START = datetime(2026, 11, 22, tzinfo=UTC)


@dataclass
class Server:
    """Gives one answer after the other, the last one again and again."""

    answers: list[Response] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def tracer() -> RecordingTracer:
    return RecordingTracer()


@pytest.fixture
async def client(server: Server, tracer: RecordingTracer) -> AsyncIterator[LidarrClient]:
    route = Route("/base/api/v1/{path:path}", server.answer, methods=["GET", "POST", "PUT"])
    clock = ManualClock(START)
    async with serving(Starlette(routes=[route])) as port, httpx.AsyncClient(verify=False) as http:
        address = LidarrAddress(url=f"http://127.0.0.1:{port}/base/", api_key="key")
        metrics = AcquisitionMetrics(Metrics(), clock)
        yield LidarrClient(
            http,
            address=lambda: address,
            clock=clock,
            metrics=metrics,
            tracer=tracer,
            pace=Pace(clock, per_second=1e9),
        )


async def test_each_call_is_a_span_of_its_own_that_knows_how_it_ended_but_no_key(
    server: Server, client: LidarrClient, tracer: RecordingTracer
) -> None:
    server.answers = [Response(status_code=503, headers={"Retry-After": "9"})]

    with pytest.raises(LidarrUnavailable):
        await client.get("/rootfolder")

    assert tracer.told == ["GET lidarr", "{'provider': 'lidarr', 'url.path': '/rootfolder'}", "status=503"]


async def test_the_key_goes_in_a_header_and_never_into_the_address(server: Server, client: LidarrClient) -> None:
    server.answers = [JSONResponse([])]

    await client.get("/rootfolder", {"a": 1})

    (request,) = server.requests
    assert request.headers["x-api-key"] == "key"
    assert request.headers["accept"] == "application/json"
    assert (request.url.path, request.url.query) == ("/base/api/v1/rootfolder", "a=1")


async def test_a_get_is_repeated_after_a_blip(server: Server, client: LidarrClient) -> None:
    server.answers = [Response(status_code=502), JSONResponse({"id": 1})]

    assert await client.get("/system/status") == {"id": 1}


async def test_a_post_is_never_repeated(server: Server, client: LidarrClient) -> None:
    server.answers = [Response(status_code=502), JSONResponse({"id": 1})]

    with pytest.raises(LidarrUnavailable):
        await client.post("/command", {"name": "AlbumSearch"})

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        HTMLResponse("<html>Log in</html>"),
        RedirectResponse("/login", status_code=302),
        Response(status_code=500),
        Response(status_code=503),
    ],
    ids=["html", "redirect", "500", "503"],
)
async def test_whoever_is_not_lidarr_in_its_right_mind_proves_nothing(
    server: Server, client: LidarrClient, answer: Response
) -> None:
    server.answers = [answer]

    with pytest.raises(LidarrUnavailable):
        await client.post("/command", {})


@pytest.mark.parametrize("told", [None, {}, "albums", [1], [[]], [{"id": "first"}]])
async def test_what_is_no_list_of_albums_is_no_empty_list(server: Server, client: LidarrClient, told: object) -> None:
    server.answers = [JSONResponse(told)]
    source = LidarrSource(client, choices=LidarrChoices)

    with pytest.raises(LidarrUnavailable):
        await source.prepare(Album(artist="A", title="B", release_group_mbid="c"))


async def test_a_time_to_come_back_is_heard(server: Server, client: LidarrClient) -> None:
    server.answers = [Response(status_code=429, headers={"Retry-After": "7"})]

    with pytest.raises(LidarrUnavailable) as error:
        await client.get("/queue/details")

    assert error.value.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_told_as_such(server: Server, client: LidarrClient, status: int) -> None:
    server.answers = [Response(status_code=status)]

    with pytest.raises(LidarrRefusedKey, match=r"lidarr\.apiKey"):
        await client.get("/rootfolder")


async def test_a_404_of_somebody_else_proves_nothing(server: Server, client: LidarrClient) -> None:
    server.answers = [Response("404 page not found", status_code=404)]

    with pytest.raises(LidarrUnavailable):
        await client.get("/command/7")


async def test_what_is_not_there_is_gone(server: Server, client: LidarrClient) -> None:
    server.answers = [JSONResponse({"message": "NotFound"}, status_code=404)]

    with pytest.raises(LidarrGone):
        await client.get("/command/7")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            [{"propertyName": "Path", "errorMessage": "is not writable", "errorCode": "PathValidator"}],
            "is not writable",
        ),
        ({"message": "no client"}, "no client"),
        ({"title": "One or more validation errors occurred.", "errors": {}}, "validation errors"),
        ("odd", "status 400"),
    ],
)
async def test_every_shape_of_a_refusal_keeps_its_words(
    server: Server, client: LidarrClient, body: object, text: str
) -> None:
    server.answers = [JSONResponse(body, status_code=400)]

    with pytest.raises(LidarrRuleBroken, match=text):
        await client.post("/album", {})


async def test_a_fault_of_the_metadata_service_does_not_keep_the_queue_from_being_read(
    server: Server, client: LidarrClient
) -> None:
    server.answers = [Response(status_code=503)]
    for _ in range(FAILURES_THAT_OPEN):
        with pytest.raises(LidarrUnavailable):
            await client.post("/album", {})
    server.answers = [JSONResponse([])]

    assert await client.get("/queue/details") == []
    with pytest.raises(LidarrUnavailable, match="metadata"):
        await client.post("/album", {})


def test_a_breaker_lets_one_call_through_after_a_while_and_closes_when_it_succeeds() -> None:
    clock = ManualClock(START)
    breaker = Breaker("Lidarr", clock)
    for _ in range(FAILURES_THAT_OPEN):
        breaker.check()
        breaker.failed()
    with pytest.raises(LidarrUnavailable):
        breaker.check()
    clock.advance(OPEN_FOR)

    breaker.check()
    with pytest.raises(LidarrUnavailable):
        breaker.check()
    breaker.succeeded()
    breaker.check()


async def test_who_was_heard_a_moment_ago_is_not_asked_how_it_is(server: Server, client: LidarrClient) -> None:
    server.answers = [JSONResponse([])]
    await client.get("/rootfolder")

    found = await probe_lidarr(client)

    assert (found.state, len(server.requests)) == (State.UP, 1)


@pytest.mark.parametrize(
    ("status", "reason"), [(401, "LIDARR_REFUSED_KEY"), (503, "LIDARR_UNAVAILABLE"), (404, "LIDARR_UNAVAILABLE")]
)
async def test_one_that_fails_is_down_and_asked_once_at_each_look(
    server: Server, client: LidarrClient, status: int, reason: str
) -> None:
    server.answers = [Response(status_code=status), JSONResponse({"version": "2.14"})]

    found = [await probe_lidarr(client) for _ in range(3)]

    assert [(each.state, each.reason) for each in found] == [(State.DOWN, reason), (State.UP, ""), (State.UP, "")]
    assert [request.url.path for request in server.requests] == ["/base/api/v1/system/status"] * 2
