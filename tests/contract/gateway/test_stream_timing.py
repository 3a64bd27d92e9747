"""Streams in time: quiet ones begin and show signs of life; leaving and draining end them."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from starlette.datastructures import Headers
from starlette.types import Message

from libs.errors import Unavailable
from services.gateway.bodies import CallerLeft
from services.gateway.streams import Streams

EVENTS = Headers({"accept": "text/event-stream"})
LINES = Headers({})


class Exchange:
    """One stream between a service that answers through a queue and a client that may leave."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[pb.WatchAcquisitionsResponse | Exception | None] = asyncio.Queue()
        self.left, self.drain, self.closed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.sent: asyncio.Queue[Message] = asyncio.Queue()

    def start(self, headers: Headers, *, heartbeat: float = 60, first_wait: float = 60) -> "asyncio.Task[None]":
        streams = Streams(self.drain, heartbeat=heartbeat, first_wait=first_wait)
        serving = streams.serve(self._messages(), str, headers, receive=self._receive, send=self.sent.put)
        return asyncio.create_task(serving)

    async def next(self) -> Message:
        async with asyncio.timeout(5):
            return await self.sent.get()

    async def _messages(self) -> AsyncGenerator[Any]:
        try:
            while (answer := await self.answers.get()) is not None:
                if isinstance(answer, Exception):
                    raise answer
                yield answer
        finally:
            self.closed.set()

    async def _receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@pytest.mark.parametrize(("headers", "sign"), [(EVENTS, b": still here\n\n"), (LINES, b"\n")])
async def test_a_quiet_stream_begins_and_shows_signs_of_life(exchange: Exchange, headers: Headers, sign: bytes) -> None:
    serving = exchange.start(headers, heartbeat=0.01, first_wait=0.01)

    assert (await exchange.next())["status"] == 200
    assert [(await exchange.next())["body"] for _ in range(3)] == [sign] * 3
    exchange.answers.put_nowait(None)
    await serving


async def test_nothing_is_sent_before_the_first_message(exchange: Exchange) -> None:
    serving = exchange.start(LINES)
    exchange.answers.put_nowait(Unavailable("gone"))

    with pytest.raises(Unavailable):
        await serving

    assert exchange.sent.empty()


async def test_a_client_that_leaves_ends_the_call(exchange: Exchange) -> None:
    serving = exchange.start(EVENTS, first_wait=0)
    await exchange.next()

    exchange.left.set()

    with pytest.raises(CallerLeft):
        await serving
    assert exchange.closed.is_set()


@pytest.mark.parametrize("first_wait", [0, 60])
async def test_draining_ends_events_so_that_browsers_come_back(exchange: Exchange, first_wait: float) -> None:
    serving = exchange.start(EVENTS, first_wait=first_wait)

    exchange.drain.set()

    await asyncio.wait_for(serving, 5)
    pieces = [exchange.sent.get_nowait() for _ in range(exchange.sent.qsize())]
    assert b"event: end" not in pieces[-1]["body"]
    assert pieces[-1].get("more_body", False) is False
    assert exchange.closed.is_set()
