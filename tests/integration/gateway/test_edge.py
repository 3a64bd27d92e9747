"""What pages expect of every answer, over real sockets: behind a proxy, below a path, from another origin."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import httpx
import pytest
import zstandard
from lockgroove.acquisition.v1 import acquisition_pb2 as acquisition
from lockgroove.config.v1 import config_pb2 as config

from libs.errors import FailedPrecondition
from services.gateway.settings import Settings
from tests.integration.gateway.conftest import HELD, Suite
from tests.support.waiting import eventually

ORIGIN = {"origin": "https://music.example.org"}
ONE, LISTED = "/api/v1/acquisitions/acq-1", "/api/v1/acquisitions"
ALLOWED = "access-control-allow-origin"


@pytest.fixture
async def suite(settings: Settings) -> AsyncIterator[Suite]:
    """Below /music, behind a proxy on this machine, with one origin that may call."""
    running = Suite(replace(settings, base_path="/music"))
    told = config.GatewaySettings(cors_origins="https://music.example.org", trusted_proxies="127.0.0.1")
    running.configuration.snapshot = config.Snapshot(
        revision=1, settings=config.Settings(gateway=told), api_keys=[HELD]
    )

    async def are_settings_here() -> bool:
        return ALLOWED in (await running.client.get("/api/live", headers=ORIGIN)).headers

    async with running.services(), running.gateway():
        await eventually(are_settings_here)
        yield running


async def test_every_answer_of_any_kind_is_readable_for_a_listed_origin(
    suite: Suite, client: httpx.AsyncClient
) -> None:
    suite.acquisitions.changes.put_nowait(FailedPrecondition("not now"))
    answers = [
        await client.get("/api/live", headers=ORIGIN),
        await client.get(ONE, headers=ORIGIN),
        await client.get(ONE, headers={**ORIGIN, "x-api-key": "lg_nobody"}),
        await client.get(ONE, headers={b"origin": ORIGIN["origin"].encode(), b"x-api-key": b"caf\xe9"}),
        await client.get("/nowhere", headers=ORIGIN),
        await client.post("/api/live", headers=ORIGIN),
        await client.get(LISTED + ":watch", headers={**ORIGIN, "accept": "text/event-stream"}),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 401, 401, 404, 405, 400]
    for answer in answers:
        assert answer.headers[ALLOWED] == ORIGIN["origin"]
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "retry-after" in answer.headers["access-control-expose-headers"]
        assert "Origin" in answer.headers["vary"]


async def test_a_stream_is_readable_for_a_listed_origin_and_never_compressed(
    suite: Suite, client: httpx.AsyncClient
) -> None:
    change = acquisition.WatchAcquisitionsResponse(acquisition=acquisition.Acquisition(name="x" * 2000))
    suite.acquisitions.changes.put_nowait(change)
    suite.acquisitions.changes.put_nowait(None)

    answer = await client.get(LISTED + ":watch", headers={**ORIGIN, "accept-encoding": "gzip"})

    assert answer.headers[ALLOWED] == ORIGIN["origin"]
    assert "content-encoding" not in answer.headers
    assert answer.headers["x-request-id"] == answer.headers["x-correlation-id"]


async def test_another_origin_reads_nothing_and_may_not_ask(client: httpx.AsyncClient) -> None:
    other = {"origin": "https://music.example.org.evil.example"}

    answer = await client.get(ONE, headers=other)
    asked = await client.options(ONE, headers={**other, "access-control-request-method": "GET"})

    assert (answer.status_code, asked.status_code) == (200, 403)
    assert asked.json()["reason"] == "ORIGIN_NOT_ALLOWED"
    assert ALLOWED not in answer.headers
    assert ALLOWED not in asked.headers
    assert "Origin" in answer.headers["vary"]


async def test_a_listed_origin_may_ask_before_it_calls(client: httpx.AsyncClient) -> None:
    asked = await client.options(ONE, headers={**ORIGIN, "access-control-request-method": "PATCH"})

    assert (asked.status_code, asked.content) == (204, b"")
    assert asked.headers[ALLOWED] == ORIGIN["origin"]
    assert "PATCH" in asked.headers["access-control-allow-methods"]
    assert {"x-csrf-token", "idempotency-key", "x-api-key"} <= set(
        asked.headers["access-control-allow-headers"].split(", ")
    )
    assert asked.headers["access-control-max-age"] == "600"


async def test_options_names_the_methods_of_a_path(client: httpx.AsyncClient) -> None:
    assert "GET" in (await client.options(ONE)).headers["allow"]
    assert "POST" in (await client.options("/api/webhooks/lidarr")).headers["allow"]
    assert (await client.options("/nowhere")).status_code == 404


async def test_the_suite_answers_below_its_path_and_without_it(client: httpx.AsyncClient) -> None:
    assert (await client.get("/music" + ONE)).json()["name"] == "acquisitions/acq-1"
    assert (await client.get("/music/api/live")).status_code == 200
    assert (await client.get("/musical/api/live")).status_code == 404
    assert (await client.get("/music")).headers["location"] == "/music/api/docs"


async def test_a_webhook_comes_from_the_client_and_not_from_the_proxy(suite: Suite, client: httpx.AsyncClient) -> None:
    await client.post("/music/api/webhooks/lidarr", content=b"1", headers={"x-forwarded-for": "6.6.6.6, 203.0.113.7"})

    assert suite.inbox.calls[0][0].remote_address == "203.0.113.7"


async def test_answers_over_tls_say_that_there_is_nothing_else(client: httpx.AsyncClient) -> None:
    over_tls = await client.get("/nowhere", headers={"x-forwarded-proto": "https"})
    plain = await client.get("/nowhere")

    assert over_tls.headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in plain.headers


async def exchanged(suite: Suite, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*suite.address.split(":"))
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


async def test_every_answer_makes_browsers_careful_even_what_is_not_http(suite: Suite) -> None:
    requests = [b"NONSENSE\r\n\r\n"]
    for line in (
        b"GET /api/live",
        b"GET /nowhere",
        b"GET /api/docs",
        b"POST /api/webhooks/lidarr",
        b"GET " + ONE.encode(),
    ):
        requests.append(line + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")

    for request in requests:
        head = (await exchanged(suite, request)).partition(b"\r\n\r\n")[0].decode().lower()
        names = [line.partition(":")[0] for line in head.split("\r\n")[1:]]
        assert {"x-content-type-options", "permissions-policy", "referrer-policy", "x-request-id"} <= set(names)
        assert "x-frame-options: deny" in head
        assert "default-src 'none'" in head
        assert "frame-ancestors 'none'" in head
        assert "unsafe" not in head
        names = [name for name in names if name != "vary"]  # a list, in as many lines as there are reasons
        assert "server" not in names
        assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize(("coding", "unpack"), [("gzip", gzip.decompress), ("zstd", zstandard.decompress)])
async def test_what_is_long_is_compressed(
    suite: Suite, client: httpx.AsyncClient, coding: str, unpack: Callable[[bytes], bytes]
) -> None:
    plain = await client.get("/api/openapi.json", headers={"accept-encoding": "identity"})

    async with client.stream("GET", "/api/openapi.json", headers={"accept-encoding": coding}) as answer:
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    head = await client.head("/api/openapi.json", headers={"accept-encoding": coding})

    assert answer.headers["content-encoding"] == coding
    assert len(raw) < len(plain.content) / 3
    assert unpack(raw) == plain.content
    assert head.headers["content-length"] == answer.headers["content-length"] == str(len(raw))
    assert "Accept-Encoding" in plain.headers["vary"]
    assert answer.headers["etag"] == plain.headers["etag"]


async def test_who_takes_nothing_that_there_is_gets_406(client: httpx.AsyncClient) -> None:
    page = await client.get(ONE, headers={"accept": "text/html"})
    packed = await client.get(ONE, headers={"accept-encoding": "br, *;q=0"})

    assert [page.status_code, packed.status_code] == [406, 406]
    assert page.json()["reason"] == packed.json()["reason"] == "NOT_ACCEPTABLE"


async def test_who_has_a_resource_already_is_not_sent_it_again(client: httpx.AsyncClient) -> None:
    for path in (ONE, LISTED):
        first = await client.get(path)
        again = await client.get(path, headers={"if-none-match": first.headers["etag"]})
        other = await client.get(path, headers={"if-none-match": '"other"'})

        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert first.headers["cache-control"] == again.headers["cache-control"] == "private, no-cache"
        assert other.content == first.content


async def test_the_answer_to_a_change_is_neither_kept_nor_compressed(client: httpx.AsyncClient) -> None:
    body = {"album": {"artist": "a" * 300, "title": "t" * 300}}

    answer = await client.post(LISTED, json=body, headers={"accept-encoding": "gzip"})

    assert (answer.headers["cache-control"], answer.headers["etag"]) == ("no-store", '"1"')
    assert "content-encoding" not in answer.headers


async def test_a_change_may_name_the_version_as_it_was_read(suite: Suite, client: httpx.AsyncClient) -> None:
    await client.post(ONE + ":cancel", headers={"if-match": 'W/"7~0123456789abcdef"'})

    assert suite.acquisitions.requests[-1].etag == '"7"'


async def test_a_key_makes_a_repeated_call_the_same_call(suite: Suite, client: httpx.AsyncClient) -> None:
    body = {"album": {"artist": "a", "title": "t"}}
    for _ in range(2):
        assert (await client.post(LISTED, json=body, headers={"idempotency-key": "order 7"})).status_code == 200
    refused = await client.post(LISTED, json=body, headers={"idempotency-key": "x" * 300})

    first, second = suite.acquisitions.requests
    assert first.request_id == second.request_id != ""
    assert (refused.status_code, refused.json()["violations"][0]["field"]) == (400, "idempotency-key")


async def test_the_callers_id_comes_before_the_proxys(client: httpx.AsyncClient) -> None:
    ids = {"x-correlation-id": "of-a-page", "x-request-id": "of-nginx"}

    answers = [
        await client.get("/nowhere", headers=ids),
        await client.get("/nowhere", headers={**ids, "x-correlation-id": "a b"}),
        await client.get("/nowhere", headers={"x-correlation-id": "<script>"}),
    ]

    echoed = [answer.headers["x-correlation-id"] for answer in answers]
    assert echoed[:2] == ["of-a-page", "of-nginx"]
    assert echoed[2] != "<script>"
    assert echoed == [answer.headers["x-request-id"] for answer in answers]
    assert echoed == [answer.json()["requestId"] for answer in answers]
