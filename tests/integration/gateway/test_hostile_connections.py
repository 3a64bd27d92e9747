"""Connections of those who do not mean well: each has an end, is told why where it still can be, and harms nobody."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as acquisition

from services.gateway import protocol
from tests.integration.gateway.conftest import KEY, Suite

CREATE = f"POST /api/v1/acquisitions HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n".encode()
CHUNKED = CREATE + b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
LIVE = b"GET /api/live HTTP/1.1\r\nhost: x\r\n\r\n"
CLOSING = b"GET /api/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


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

    assert answer.count(b"HTTP/1.1 200 ") <= protocol.MAX_AHEAD
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

        await asyncio.wait_for(suite.acquisitions.cancelled.wait(), 5)

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
