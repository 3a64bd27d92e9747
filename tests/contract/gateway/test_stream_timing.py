"""Streams in time: quiet ones begin and show signs of life; leaving and draining end them; a service may come back."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from starlette.datastructures import Headers
from starlette.types import Message

from libs.errors import PermissionDenied, Unavailable
from services.gateway.http.bodies import DEPARTURE, CallerLeft, Departure
from services.gateway.watching.streams import Streams
from services.gateway.watching.upstream import Source

EVENTS = Headers({"accept": "text/event-stream"})
LINES = Headers({})


class Exchange:
    """One stream between a service that answers through a queue and a client that may leave."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[pb.WatchAcquisitionsResponse | Exception | None] = asyncio.Queue()
        self.departure, self.drain, self.closed = Departure(), asyncio.Event(), asyncio.Event()
        self.sent: asyncio.Queue[Message] = asyncio.Queue()
        self.calls: asyncio.Queue[str] = asyncio.Queue()

    def start(
        self, headers: Headers, *, heartbeat: float = 60, first_wait: float = 60, patience: float = 60
    ) -> "asyncio.Task[None]":
        streams = Streams(self.drain, heartbeat=heartbeat, first_wait=first_wait, patience=patience)
        source = Source(name="Watch", call=self._messages, show=str)
        request = pb.WatchAcquisitionsRequest()
        return asyncio.create_task(
            streams.serve(source, request, (), headers, scope={DEPARTURE: self.departure}, send=self.sent.put)
        )

    def tell(self, token: str) -> None:
        self.answers.put_nowait(pb.WatchAcquisitionsResponse(resume_token=token))

    async def next(self) -> Message:
        async with asyncio.timeout(5):
            return await self.sent.get()

    async def next_call(self) -> str:
        """The token that the next call goes on behind."""
        async with asyncio.timeout(5):
            return await self.calls.get()

    async def _messages(self, request: Any, _metadata: object) -> AsyncGenerator[Any]:
        self.calls.put_nowait(request.resume_token)
        try:
            while (answer := await self.answers.get()) is not None:
                if isinstance(answer, Exception):
                    raise answer
                yield answer
        finally:
            self.closed.set()


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

    exchange.departure.tell()

    with pytest.raises(CallerLeft):
        await serving
    assert exchange.closed.is_set()


@pytest.mark.parametrize("first_wait", [0, 60])
async def test_draining_ends_events_so_that_browsers_come_back(exchange: Exchange, first_wait: float) -> None:
    serving = exchange.start(EVENTS, first_wait=first_wait)
    await exchange.next_call()

    exchange.drain.set()

    await asyncio.wait_for(serving, 5)
    pieces = [exchange.sent.get_nowait() for _ in range(exchange.sent.qsize())]
    assert b"event: end" not in pieces[-1]["body"]
    assert pieces[-1].get("more_body", False) is False
    assert exchange.closed.is_set()


async def test_a_service_that_comes_back_is_asked_for_what_is_behind_the_last_message(exchange: Exchange) -> None:
    serving = exchange.start(LINES)
    exchange.tell("t1")
    await exchange.next()
    exchange.answers.put_nowait(Unavailable("restarting"))
    exchange.tell("t2")
    exchange.answers.put_nowait(None)

    await serving

    assert [exchange.calls.get_nowait() for _ in range(exchange.calls.qsize())] == ["", "t1"]
    pieces = [exchange.sent.get_nowait()["body"] for _ in range(exchange.sent.qsize())]
    assert [piece for piece in pieces if b"resume_token" in piece] == [
        b'"resume_token: \\"t1\\"\\n"\n',
        b'"resume_token: \\"t2\\"\\n"\n',
    ]


async def test_what_is_told_again_behind_the_same_token_is_not_sent_again(exchange: Exchange) -> None:
    serving = exchange.start(LINES)
    exchange.tell("t1")
    await exchange.next()
    exchange.answers.put_nowait(Unavailable("restarting"))
    exchange.tell("t1")
    exchange.tell("t2")
    exchange.answers.put_nowait(None)

    await serving

    pieces = [exchange.sent.get_nowait()["body"] for _ in range(exchange.sent.qsize())]
    assert [piece.count(b"t1") for piece in pieces] == [1, 0, 0]


async def test_signs_of_life_go_on_while_the_service_is_away(exchange: Exchange) -> None:
    serving = exchange.start(EVENTS, heartbeat=0.01)
    exchange.tell("t1")
    await exchange.next()
    await exchange.next()
    exchange.answers.put_nowait(Unavailable("restarting"))

    assert [(await exchange.next())["body"] for _ in range(3)] == [b": still here\n\n"] * 3

    exchange.answers.put_nowait(None)
    await serving


async def test_a_service_that_stays_away_is_told_as_an_error(exchange: Exchange) -> None:
    serving = exchange.start(EVENTS, patience=0)
    exchange.tell("t1")
    exchange.answers.put_nowait(Unavailable("gone", reason="GONE"))

    await serving

    pieces = [exchange.sent.get_nowait() for _ in range(exchange.sent.qsize())]
    assert pieces[-1]["body"].startswith(b"event: rpc-error")
    assert b"GONE" in pieces[-1]["body"]


async def test_a_service_that_refuses_is_not_asked_again(exchange: Exchange) -> None:
    serving = exchange.start(EVENTS)
    exchange.tell("t1")
    await exchange.next()
    exchange.answers.put_nowait(PermissionDenied("no more"))

    await serving

    assert exchange.calls.qsize() == 1
