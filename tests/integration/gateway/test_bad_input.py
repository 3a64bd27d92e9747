"""What callers get wrong: a clear 4xx that names the field, and nobody else is disturbed."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.integration.gateway.conftest import KEY, Suite

URL = "/api/v1/acquisitions"
JSON = {"content-type": "application/json"}


async def refused(client: httpx.AsyncClient, body: bytes | str, **kwargs: Any) -> dict[str, Any]:
    response = await client.post(URL, content=body, headers=JSON, **kwargs)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    return problem


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ("{", "", "the body is not JSON"),
        ("[]", "", "the body must be an object"),
        (b'{"album":{"artist":"\xff"}}', "", "the body is not UTF-8 at byte 20"),
        ('{"album":{"year":NaN}}', "", "the body is not JSON"),
        ('{"album":' * 200 + "1" + "}" * 200, "", "the body is nested deeper than 100 levels"),
        ("[" * 100_000, "", "the body is nested deeper than 100 levels"),
        ('{"album":{"artist":"a","artist":"b"}}', "album.artist", "is given twice"),
        ('{"album":{"artst":"a"}}', "album.artst", "is not a field that exists here"),
        ('{"album":{"year":"soon"}}', "album.year", "must be an integer"),
        ('{"album":{"tracks":[{"title":1}]}}', "album.tracks[0].title", "must be a string"),
        ('{"source":"NAPSTER"}', "source", "must be one of"),
    ],
)
async def test_a_body_that_cannot_be_read(client: httpx.AsyncClient, body: bytes | str, field: str, words: str) -> None:
    problem = await refused(client, body)

    assert problem["violations"][0]["field"] == field
    assert words in problem["violations"][0]["description"]
    assert (problem["code"], problem["reason"]) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("album", "field"),
    [
        ({"artist": "x" * 301, "title": "t"}, "album.artist"),
        ({"artist": "a", "title": "t", "releaseGroupMbid": "no"}, "album.releaseGroupMbid"),
        ({"artist": "a", "title": "t", "year": 1}, "album.year"),
        ({"artist": "a", "title": "t", "tracks": [{"number": 1, "title": "x", "durationMs": -1}]},
         "album.tracks[0].durationMs"),
    ],
)  # fmt: skip
async def test_a_rule_of_a_service_is_told_in_the_callers_words(
    client: httpx.AsyncClient, album: dict[str, Any], field: str
) -> None:
    problem = await refused(client, json.dumps({"album": album}))

    assert [violation["field"] for violation in problem["violations"]] == [field]


@pytest.mark.parametrize(
    ("query", "field"),
    [("page=1", "page"), ("pageSize=x", "pageSize"), ("filter=a&filter=b", "filter"), ("pageSize=-1", "pageSize")],
)
async def test_a_wrong_parameter_is_named(client: httpx.AsyncClient, query: str, field: str) -> None:
    response = await client.get(f"{URL}?{query}")

    assert response.status_code == 400
    assert response.json()["violations"][0]["field"] == field


async def test_a_wrong_request_id_is_named(client: httpx.AsyncClient) -> None:
    problem = await refused(client, '{"album":{"artist":"a","title":"b"}}', params={"requestId": "x"})

    assert problem["violations"][0]["field"] == "requestId"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nowhere"), ("GET", "/api/v1/acquisitions/"), ("POST", "/api/v1/acquisitions/a:explode"),
     ("GET", "/api/v1/events/a/b"), ("GET", "/api/docs/secret.key"), ("GET", "/api/docs/..%2fapp.py")],
)  # fmt: skip
async def test_an_unknown_path_is_404(client: httpx.AsyncClient, method: str, path: str) -> None:
    response = await client.request(method, path)

    assert (response.status_code, response.json()["reason"]) == (404, "ROUTE_UNKNOWN")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("PUT", URL, "GET, HEAD, POST"), ("DELETE", f"{URL}/a", "GET, HEAD, PATCH"), ("HEAD", f"{URL}:watch", "GET"),
     ("POST", "/api/live", "GET, HEAD"), ("GET", "/api/webhooks/lidarr", "POST"), ("PROPFIND", URL, "GET, HEAD, POST")],
)  # fmt: skip
async def test_an_unknown_method_is_405_with_allow(
    client: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    response = await client.request(method, path)

    assert (response.status_code, response.headers["allow"]) == (405, allow)


@pytest.mark.parametrize(
    "headers",
    [{"content-type": "text/plain"}, {}, {"content-type": "application/json; charset=latin-1"},
     {"content-type": "application/json", "content-encoding": "gzip"}],
)  # fmt: skip
async def test_another_media_type_is_415(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    response = await client.post(URL, content=b"{}", headers=headers)

    assert (response.status_code, response.json()["reason"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("announced", [True, False])
async def test_a_large_body_is_413_and_the_connection_closes(client: httpx.AsyncClient, announced: bool) -> None:
    async def pieces() -> Any:
        for _ in range(18):
            yield b" " * 65536

    content = b" " * (1024 * 1024 + 1) if announced else pieces()
    response = await client.post(URL, content=content, headers=JSON)

    assert (response.status_code, response.json()["reason"]) == (413, "BODY_TOO_LARGE")
    assert response.headers["connection"] == "close"


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 8 * 1024 * 1024])
async def test_a_sender_that_reads_only_when_it_has_sent_all_gets_its_answer(suite: Suite, size: int) -> None:
    host, port = suite.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /api/webhooks/lidarr HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size)
    for start in range(0, size, 65536):
        writer.write(b" " * min(65536, size - start))
        await writer.drain()

    answer = await reader.read()

    writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_large_headers_are_431(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/live", headers={"x-large": "x" * 40_000})

    assert (response.status_code, response.json()["reason"]) == (431, "HEADERS_TOO_LARGE")


async def exchanged(suite: Suite, *pieces: bytes) -> bytes:
    host, port = suite.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await reader.read(65536)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_headers_without_end_are_cut_off(suite: Suite) -> None:
    endless = [b"x-%d: %s\r\n" % (number, b"x" * 60_000) for number in range(20)]

    answer = await exchanged(suite, b"GET / HTTP/1.1\r\n", *endless)

    assert not answer or answer.startswith(b"HTTP/1.1 431 ")
    assert (await suite.client.get("/api/live")).status_code == 200


async def test_a_body_that_does_not_arrive_is_408_and_the_connection_closes(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.http.bodies.TIMEOUT", 0.05)

    answer = await exchanged(suite, b"POST /api/webhooks/lidarr HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"reason":"BODY_TOO_SLOW"' in answer


async def test_a_head_that_does_not_arrive_is_hung_up_on(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.http.protocol.HEAD_TIMEOUT", 0.05)

    assert await exchanged(suite, b"GET /api/live HTTP/1.1\r\nhost:") == b""


@pytest.mark.parametrize("line", [b"NONSENSE", b"GET http://[ HTTP/1.1", b"BREW / HTTP/1.1", b"GET /\xff\xfe HTTP/1.1"])
async def test_what_is_not_http_is_a_problem_too(suite: Suite, line: bytes) -> None:
    answer = await exchanged(suite, line + b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"reason":"MALFORMED_HTTP"' in answer


async def test_malformed_escapes_in_paths_are_named(client: httpx.AsyncClient, suite: Suite) -> None:
    answer = await exchanged(
        suite, b"GET /api/v1/acquisitions/a%zz HTTP/1.1\r\nhost: x\r\nx-api-key: " + KEY.encode() + b"\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"field":"name"' in answer
