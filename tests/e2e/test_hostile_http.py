"""HTTP from those who do not mean well: each gets a clear end, and nobody else notices."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from tests.support.suite import ADMIN_KEY, Suite

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120), pytest.mark.one_process]

_LIMIT = 1024 * 1024
_HEAD = f"host: x\r\nx-api-key: {ADMIN_KEY}\r\ncontent-type: application/json\r\n".encode()
_CREATE = b"POST /api/v1/acquisitions HTTP/1.1\r\n" + _HEAD
_GOOD = {"artist": "Someone", "title": "Something"}


@asynccontextmanager
async def _connected(suite: Suite) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    where = urlsplit(suite.url)
    assert where.hostname
    assert where.port
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _said(suite: Suite, *pieces: bytes) -> bytes:
    """All that the gateway answers until it closes the connection."""
    async with _connected(suite) as (reader, writer), asyncio.timeout(20):
        answer = b""
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            while more := await reader.read(65536):
                answer += more
        except ConnectionError:
            pass  # it was closed with our bytes unread; what was answered before is what counts
        return answer


def _chunks(size: int) -> list[bytes]:
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    return [piece] * (size // 0x10000 + 1)


async def test_a_chunked_body_over_the_limit_is_413_and_the_connection_closes(suite: Suite) -> None:
    answer = await _said(suite, _CREATE + b"transfer-encoding: chunked\r\n\r\n", *_chunks(_LIMIT))

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"reason":"BODY_TOO_LARGE"' in answer


async def test_a_chunked_webhook_over_the_limit_is_413_and_the_connection_closes(suite: Suite) -> None:
    head = b"POST /api/webhooks/lidarr HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"

    answer = await _said(suite, head, *_chunks(_LIMIT))

    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_an_announced_body_over_the_limit_is_refused_before_it_is_sent(suite: Suite) -> None:
    answer = await _said(suite, _CREATE + b"content-length: 10000000000\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_many_slow_bodies_keep_nobody_waiting(suite: Suite) -> None:
    async def dribble(seconds: float) -> None:
        async with _connected(suite) as (_, writer):
            writer.write(_CREATE + b"content-length: 1000\r\n\r\n{")
            async with asyncio.timeout(seconds):
                while not writer.is_closing():
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.1)  # being slow is the attack

    async with asyncio.TaskGroup() as attack:
        slow = [attack.create_task(dribble(60)) for _ in range(100)]
        begun = time.monotonic()
        answers = [await suite.client.get("/api/v1/acquisitions") for _ in range(20)]
        took = time.monotonic() - begun
        for each in slow:
            each.cancel()

    assert {answer.status_code for answer in answers} == {200}
    assert took < 30


async def test_headers_over_the_limit_are_431(suite: Suite) -> None:
    answer = await _said(suite, b"GET /api/live HTTP/1.1\r\nhost: x\r\n", b"x-large: %s\r\n\r\n" % (b"x" * 40_000))

    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_headers_without_end_are_cut_off(suite: Suite) -> None:
    endless = [b"x-%d: %s\r\n" % (number, b"x" * 60_000) for number in range(100)]

    answer = await _said(suite, b"GET /api/live HTTP/1.1\r\nhost: x\r\n", *endless)

    assert not answer or answer.startswith(b"HTTP/1.1 431 ")


async def test_garbage_behind_a_request_harms_only_its_sender(suite: Suite) -> None:
    answer = await _said(suite, b"GET /api/live HTTP/1.1\r\nhost: x\r\n\r\n\x00\x01NONSENSE\r\n\r\n")

    assert b"HTTP/1.1 400 " in answer
    assert b'"reason":"MALFORMED_HTTP"' in answer


async def test_two_lengths_that_differ_are_refused(suite: Suite) -> None:
    both = b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /api/live HTTP/1.1\r\nhost: x\r\n\r\n"

    answer = await _said(suite, _CREATE + both)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("raw", ["a%00b", "a%ffb", "a%zzb", "a%2e%2e", "a" * 40_000])
async def test_a_name_that_cannot_be_is_refused_by_name(suite: Suite, raw: str) -> None:
    answer = await _said(
        suite, f"GET /api/v1/acquisitions/{raw} HTTP/1.1\r\nconnection: close\r\n".encode(), _HEAD, b"\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"field":"name"' in answer


@pytest.mark.parametrize(
    "path", ["/api/a%00b", "/api/webhooks/a%00b", "/api/v1/acquisitions/", "/api/live/", "/%2e%2e/"]
)
async def test_a_path_that_nobody_serves_is_404(suite: Suite, path: str) -> None:
    verb = "POST" if "webhooks" in path else "GET"

    answer = await _said(suite, f"{verb} {path} HTTP/1.1\r\nconnection: close\r\n".encode(), _HEAD, b"\r\n")

    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    ("album", "field"),
    [
        ({**_GOOD, "artist": "a\0b"}, "album.artist"),
        ({**_GOOD, "title": "a\0b"}, "album.title"),
        ({**_GOOD, "tracks": [{"number": 1, "title": "a\0b"}]}, "album.tracks[0].title"),
    ],
)
async def test_a_nul_in_a_text_is_refused_by_its_field(suite: Suite, album: dict[str, object], field: str) -> None:
    answer = await suite.client.post("/api/v1/acquisitions", json={"album": album})

    assert answer.status_code == 400
    assert [violation["field"] for violation in answer.json()["violations"]] == [field]


@pytest.mark.parametrize("parameter", ["filter", "orderBy", "pageToken"])
@pytest.mark.parametrize("collection", ["acquisitions", "events"])
async def test_a_nul_in_a_parameter_is_refused_by_its_name(suite: Suite, collection: str, parameter: str) -> None:
    answer = await suite.client.get(f"/api/v1/{collection}", params={parameter: 'state = "a\0b"'})

    assert answer.status_code == 400
    assert [violation["field"] for violation in answer.json()["violations"]] == [parameter]


@pytest.mark.parametrize("half", ["\\ud800", "\\udc00x", "\\ud800\\ud800"])
async def test_half_a_character_is_no_json(suite: Suite, half: str) -> None:
    body = f'{{"album": {{"artist": "{half}", "title": "t"}}}}'

    answer = await suite.client.post(
        "/api/v1/acquisitions", content=body.encode(), headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 400
    assert "is not JSON" in answer.json()["detail"]


async def test_other_origins_are_given_no_permission(suite: Suite) -> None:
    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}

    preflight = await suite.client.options("/api/v1/acquisitions", headers=headers)
    simple = await suite.client.get("/api/v1/acquisitions", headers=headers)

    assert (preflight.status_code, preflight.json()["reason"]) == (403, "ORIGIN_NOT_ALLOWED")
    assert not [name for name in (*preflight.headers, *simple.headers) if name.startswith("access-control")]


async def test_head_is_get_without_its_body(suite: Suite) -> None:
    head, get = await suite.client.head("/api/v1/acquisitions"), await suite.client.get("/api/v1/acquisitions")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"]
)
async def test_another_media_type_is_415(suite: Suite, kind: str) -> None:
    answer = await suite.client.post("/api/v1/acquisitions", content=b"{}", headers={"Content-Type": kind})

    assert (answer.status_code, answer.json()["reason"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_nobody_had_to_be_started_again(suite: Suite) -> None:
    answer = await suite.client.get("/api/live")

    assert answer.status_code == 200
    assert not [line for line in suite.lines if "Traceback" in line or "starts again" in line]
