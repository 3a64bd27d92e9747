import asyncio
import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from libs.outbound.bounded import bounded


async def _trickle() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.Event().wait()


async def test_an_answer_that_never_ends_is_none() -> None:
    async with _serving(httpx.Response(200, content=_trickle())) as http:
        with pytest.raises(httpx.ReadTimeout):
            await bounded(http, "GET", "http://there/", seconds=0.05)


async def test_an_answer_that_unpacks_to_too_much_is_none() -> None:
    packed = httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=gzip.compress(bytes(10_000)))
    async with _serving(packed) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await bounded(http, "GET", "http://there/", seconds=5, largest=9_999)


async def test_an_answer_is_read_as_it_was_meant() -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=latin-1", "Retry-After": "3"}
    async with _serving(httpx.Response(503, headers=headers, content=gzip.compress("\xe9".encode("latin-1")))) as http:
        answer = await bounded(http, "GET", "http://there/", seconds=5)

    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (503, "\xe9", "3")


async def test_a_redirect_is_not_followed() -> None:
    async with _serving(httpx.Response(302, headers={"Location": "http://elsewhere/"})) as http:
        assert (await bounded(http, "GET", "http://there/", seconds=5)).status_code == 302


def _serving(answer: httpx.Response) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer), follow_redirects=True)
