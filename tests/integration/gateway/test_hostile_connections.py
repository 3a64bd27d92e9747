"""Connections of those who do not mean well: each has an end, is told why where it still can be, and harms nobody."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as acquisition

from services.gateway.http import protocol
from tests.integration.gateway.conftest import KEY, Suite
from tests.support.waiting import eventually

CREATE = f"POST /api/v1/acquisitions HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n".encode()
CHUNKED = CREATE + b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
LIVE = b"GET /api/live HTTP/1.1\r\nhost: x\r\n\r\n"
CLOSING = b"GET /api/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


def get(name: str) -> bytes:
    return f"GET /api/v1/{name} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n\r\n".encode()


@asynccontextmanager
async def connected(suite: Suite) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, port = suite.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


async def said(suite: Suite, *pieces: bytes, ends: bool = False) -> bytes:
    """All that is answered until the gateway closes the connection; with `ends` the client ends its side first."""
    async with connected(suite) as (reader, writer), asyncio.timeout(10):
        answer = b""
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if ends:
                writer.write_eof()
            while more := await reader.read(65536):
                answer += more
        except ConnectionError:
            pass  # it was closed with our bytes unread
        return answer


async def others_are_served(suite: Suite) -> bool:
    return (await suite.client.get("/api/live")).status_code == 200


@pytest.mark.parametrize("sent", [LIVE[:20], CREATE + b"content-length: 9\r\n\r\n{", CHUNKED + b"5\r\n{"])
async def test_who_ends_the_connection_within_a_request_is_told_so(suite: Suite, sent: bytes) -> None:
    answer = await said(suite, sent, ends=True)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"reason":"MALFORMED_HTTP"' in answer
    assert suite.acquisitions.requests == []


@pytest.mark.parametrize("count", [1, 3])
async def test_who_ends_its_side_behind_its_requests_is_answered(suite: Suite, count: int) -> None:
    answer = await said(suite, get("acquisitions/a") * count, ends=True)

    assert answer.count(b"HTTP/1.1 200 ") == count


async def test_who_ends_its_side_of_a_stream_is_not_kept(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HALF_CLOSED", 0.05)

    answer = await said(suite, get("acquisitions:watch"), ends=True)

    assert b"HTTP/1.1 400 " not in answer
    await asyncio.wait_for(suite.acquisitions.cancelled.wait(), 5)


async def test_who_leaves_a_stream_leaves_it_with_requests_behind_it_too(suite: Suite) -> None:
    async def is_open() -> bool:
        return bool(suite.acquisitions.requests)

    async with connected(suite) as (_, writer):
        writer.write(get("acquisitions:watch") + LIVE)
        await eventually(is_open)
        writer.transport.abort()

        await asyncio.wait_for(suite.acquisitions.cancelled.wait(), 5)


@pytest.mark.parametrize("broken", [b"\0NONSENSE\r\n\r\n", CHUNKED + b"zz\r\n", CREATE + b"content-length: x\r\n\r\n"])
async def test_what_is_wrong_is_told_behind_the_answers_that_are_owed(suite: Suite, broken: bytes) -> None:
    answer = await said(suite, get("acquisitions/a") + get("acquisitions/b") + broken)

    places = [answer.index(text) for text in (b'"acquisitions/a"', b'"acquisitions/b"', b"HTTP/1.1 400 ")]
    assert places == sorted(places)
    assert answer.count(b"HTTP/1.1 ") == 3


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
async def test_a_body_is_no_request_when_its_head_asks_for_an_upgrade(suite: Suite, upgrade: bytes) -> None:
    hidden = get("acquisitions/hidden")
    asking = CREATE + b"content-type: application/json\r\nconnection: upgrade\r\nupgrade: " + upgrade

    answer = await said(suite, asking + b"\r\ncontent-length: %d\r\n\r\n" % len(hidden), hidden, CLOSING)

    assert suite.acquisitions.requests == []
    assert re.findall(rb"HTTP/1.1 (\d+) ", answer) == [b"400", b"200"]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /api/live HTTP/1.1\r\n", b"400"),
        (b"GET /api/live HTTP/1.1\r\nhost: x\r\nhost: y\r\n", b"400"),
        (b"GET /api/live HTTP/1.1\r\nhost: x/y@z\r\n", b"400"),
        (b"GET /api/live#x HTTP/1.1\r\nhost: x\r\n", b"400"),
        (b"GET /api/live HTTP/2.0\r\nhost: x\r\n", b"400"),
        (b"GET /api/live\r\n", b"400"),
        (b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n", b"400"),
        (b"POST /api/live HTTP/1.0\r\ntransfer-encoding: chunked\r\n", b"400"),
        (b"POST /api/live HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n", b"501"),
        (b"GET /api/live?%s HTTP/1.1\r\nhost: x\r\n" % (b"a=1&" * 20_000), b"414"),
    ],
)
async def test_a_head_that_others_may_read_otherwise_is_refused(suite: Suite, head: bytes, status: bytes) -> None:
    answer = await said(suite, head + b"\r\n" + LIVE)

    assert answer.startswith(b"HTTP/1.1 %s " % status)
    assert b"HTTP/1.1 200 " not in answer


async def test_http_1_0_needs_no_host_and_is_not_told_to_continue(suite: Suite) -> None:
    head = b"POST /api/webhooks/lidarr HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n{}"

    answer = await said(suite, head)

    assert not answer.startswith(b"HTTP/1.1 1")
    assert len(suite.inbox.calls) == 1


@pytest.mark.parametrize("sent", [b"x-nothing: x", b"authorization: Basic eDp4"])
async def test_who_has_no_key_is_told_so_before_there_is_a_body(suite: Suite, sent: bytes) -> None:
    head = b"POST /api/v1/acquisitions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n" + sent
    async with connected(suite) as (reader, writer), asyncio.timeout(10):
        writer.write(head + b"\r\n\r\n")

        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")


async def test_who_is_refused_early_may_send_the_rest_and_go_on(suite: Suite) -> None:
    async with connected(suite) as (reader, writer), asyncio.timeout(10):
        writer.write(b"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n")
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 404 ")
        writer.write(b" " * 900_000 + CLOSING)

        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")


async def test_trailers_are_no_headers(suite: Suite) -> None:
    head = CHUNKED.replace(b"x-api-key", b"x-nothing")
    body = b'{"album":{"artist":"a","title":"b"}}'

    answer = await said(
        suite, head + b"%x\r\n%s\r\n0\r\nx-api-key: %s\r\n\r\n" % (len(body), body, KEY.encode()), CLOSING
    )

    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_ten_thousand_headers_are_431(suite: Suite) -> None:
    lines = b"".join(b"a%d:\r\n" % number for number in range(10_000))

    answer = await said(suite, b"GET /api/live HTTP/1.1\r\n" + lines + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert await others_are_served(suite)


async def test_trailers_are_bounded_like_headers(suite: Suite) -> None:
    trailers = b"".join(b"a%d: b\r\n" % number for number in range(10_000))

    answer = await said(suite, CHUNKED + b"2\r\n{}\r\n0\r\n" + trailers)

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert suite.acquisitions.requests == []


@pytest.mark.parametrize(
    "chunk", [b"zz\r\n", b"-1\r\n{}\r\n", b"fffffffffffffffff\r\n{}\r\n", b"2\r\n{}xx\r\n", b"0x2\r\n{}\r\n"]
)
async def test_what_is_no_chunk_is_400(suite: Suite, chunk: bytes) -> None:
    answer = await said(suite, CHUNKED + chunk)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert suite.acquisitions.requests == []


async def test_a_chunk_that_never_ends_around_its_body_is_cut_off(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_MAX_REQUEST", 200_000)

    await said(suite, CHUNKED + b"2;", *[b"x" * 65536] * 20)

    assert suite.acquisitions.requests == []
    assert await others_are_served(suite)


async def test_a_body_in_chunks_of_one_byte_is_read(suite: Suite) -> None:
    body = b'{"album":{"artist":"a","title":"b"}}'
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    head = CHUNKED.replace(b"host: x", b"host: x\r\nconnection: close")

    answer = await said(suite, head + chunks + b"0\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_requests_that_are_sent_ahead_are_answered_in_their_order(suite: Suite) -> None:
    names = [f"acquisitions/a-{number}" for number in range(50)]
    sent = b"".join(f"GET /api/v1/{name} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n\r\n".encode() for name in names)

    answer = await said(suite, sent + CLOSING)

    assert [request.name for request in suite.acquisitions.requests] == names
    positions = [answer.index(f'"name":"{name}"'.encode()) for name in names]
    assert positions == sorted(positions)


async def test_nobody_sends_ahead_without_end(suite: Suite) -> None:
    answer = await said(suite, LIVE * 5000)

    assert answer.count(b"HTTP/1.1 200 ") <= protocol.MAX_AHEAD + 1
    assert answer.count(b"HTTP/1.1 400 ") == 1
    assert await others_are_served(suite)


async def test_empty_lines_keep_no_connection(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT", 0.05)

    async with connected(suite) as (reader, writer), asyncio.timeout(10):
        writer.write(LIVE)
        await reader.readuntil(b"}")
        writer.write(b"\r\n\r\n")

        assert await reader.read() == b""


async def test_who_does_not_read_is_hung_up_on(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "READ_TIMEOUT", 0.05)
    large = acquisition.WatchAcquisitionsResponse(acquisition=acquisition.Acquisition(requester="x" * 1_000_000))
    head = f"GET /api/v1/acquisitions:watch HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n\r\n".encode()
    host, port = suite.address.split(":")
    with socket.create_connection((host, int(port))) as deaf:
        deaf.sendall(head)
        for _ in range(20):
            suite.acquisitions.changes.put_nowait(large)

        await asyncio.wait_for(suite.acquisitions.cancelled.wait(), 30)

    assert await others_are_served(suite)


async def test_one_connection_too_many_is_told_so(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(suite) as (reader, writer):
        writer.write(LIVE)
        await reader.readuntil(b"\r\n\r\n")
        monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 1)

        answer = await said(suite, b"")

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 5" in answer
    assert b'"reason":"TOO_MANY_CONNECTIONS"' in answer
