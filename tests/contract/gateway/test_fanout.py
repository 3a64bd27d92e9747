"""One call for all who watch the same: each of them hears what a call of its own would tell."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import leases_pb2 as leases
from starlette.datastructures import Headers
from starlette.types import Message

from services.gateway.http.bodies import DEPARTURE, CallerLeft, Departure
from services.gateway.watching.broadcast import AHEAD, KEPT
from services.gateway.watching.streams import Streams
from services.gateway.watching.upstream import Source
from tests.support.waiting import eventually


class Service:
    """Tells numbers from a token on, all from the first one without a token; each is its own token."""

    def __init__(self) -> None:
        self.numbers = 0
        self.calls = 0
        self.open = 0
        self.read = 0
        self._news = asyncio.Event()
        self.source = Source(name="Watch", call=self._call, show=_token)
        self.leases = Source(name="WatchLeases", call=self._call_without_tokens, show=_fence)

    def tell(self, count: int) -> None:
        self.numbers += count
        self._news.set()
        self._news = asyncio.Event()

    async def _call(self, request: Any, _metadata: object) -> AsyncGenerator[Any]:
        async for number in self._told_behind(int(request.resume_token or 0)):
            yield pb.WatchAcquisitionsResponse(resume_token=str(number))

    async def _call_without_tokens(self, _request: Any, _metadata: object) -> AsyncGenerator[Any]:
        async for number in self._told_behind(0):
            yield leases.WatchLeasesResponse(lease=leases.Lease(fence=number))

    async def _told_behind(self, number: int) -> AsyncGenerator[int]:
        self.calls += 1
        self.open += 1
        try:
            while True:
                while number < self.numbers:
                    number += 1
                    self.read += 1
                    yield number
                    await asyncio.sleep(0)
                await self._news.wait()
        finally:
            self.open -= 1


class Client:
    """One connection, whose other side may stop to read."""

    def __init__(self, streams: Streams, source: Source, request: Any, *, key: str = "", accept: str = "") -> None:
        self.pieces: list[bytes] = []
        self.writes = 0
        self.reads = asyncio.Event()
        self.reads.set()
        self._departure = Departure()
        headers = Headers({"accept": accept} if accept else {})
        scope = {DEPARTURE: self._departure}
        serving = streams.serve(source, request, (("x-api-key", key),), headers, scope=scope, send=self._send)
        self.serving = asyncio.create_task(serving)

    @property
    def numbers(self) -> list[int]:
        """What it was told."""
        return [int(piece.strip().strip(b'"')) for piece in self.pieces]

    async def leave(self) -> None:
        self._departure.tell()
        with suppress(CallerLeft):
            await self.serving

    async def _send(self, message: Message) -> None:
        await self.reads.wait()
        if message["type"] == "http.response.body" and message["body"].strip():
            self.pieces += message["body"].splitlines(keepends=True)
            self.writes += 1


def _token(message: Any) -> object:
    return message.resume_token


def _fence(message: Any) -> object:
    return message.lease.fence


Watch = Callable[..., Client]


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def watch(service: Service) -> Any:
    streams, clients = Streams(asyncio.Event(), first_wait=0), []

    def watching(token: str = "", **options: str) -> Client:
        request = pb.WatchAcquisitionsRequest(filter=options.pop("filter_text", ""), resume_token=token)
        clients.append(Client(streams, service.source, request, **options))
        return clients[-1]

    yield watching
    for client in clients:
        client.reads.set()
        await client.leave()
    assert service.open == 0


async def _until(check: Callable[[], bool]) -> None:
    async def checked() -> bool:
        return check()

    await eventually(checked, within=10, every=0.005)


async def test_all_who_watch_the_same_get_the_same_bytes_of_one_call(service: Service, watch: Watch) -> None:
    first, second = watch(), watch()
    service.tell(3)
    await _until(lambda: len(first.pieces) == len(second.pieces) == 3)

    assert service.calls == 1
    assert first.pieces == second.pieces


async def test_what_comes_in_a_burst_is_sent_in_few_writes(service: Service, watch: Watch) -> None:
    client = watch()
    service.tell(1)
    await _until(lambda: client.numbers == [1])

    service.tell(AHEAD)

    await _until(lambda: client.numbers == list(range(1, AHEAD + 2)))
    assert client.writes < AHEAD / 2


@pytest.mark.parametrize("other", [{"key": "another"}, {"filter_text": "another"}, {"accept": "text/event-stream"}])
async def test_another_key_request_or_format_is_another_call(
    service: Service, watch: Watch, other: dict[str, str]
) -> None:
    watch()
    watch(**other)

    await _until(lambda: service.open == 2)


async def test_the_call_stays_as_long_as_one_listens(service: Service, watch: Watch) -> None:
    first, second = watch(), watch()
    service.tell(1)
    await _until(lambda: len(first.pieces) == len(second.pieces) == 1)

    await first.leave()
    service.tell(1)

    await _until(lambda: second.numbers == [1, 2])
    assert service.open == 1


async def test_who_comes_back_with_a_token_that_is_kept_needs_no_call(service: Service, watch: Watch) -> None:
    first = watch()
    service.tell(10)
    await _until(lambda: len(first.pieces) == 10)

    back = watch("7")

    await _until(lambda: back.numbers == [8, 9, 10])
    assert service.calls == 1


async def test_who_comes_late_hears_all_from_the_beginning_and_then_shares(service: Service, watch: Watch) -> None:
    early = watch()
    service.tell(2 * KEPT)
    await _until(lambda: len(early.pieces) == 2 * KEPT)

    late = watch()
    await _until(lambda: len(late.pieces) == 2 * KEPT)
    await _until(lambda: service.open == 1)
    service.tell(5)

    await _until(lambda: len(late.pieces) == len(early.pieces) == 2 * KEPT + 5)
    assert early.numbers == late.numbers == list(range(1, 2 * KEPT + 6))


async def test_a_slow_one_keeps_nobody_waiting_and_misses_nothing(service: Service, watch: Watch) -> None:
    fast, slow = watch(), watch()
    service.tell(1)
    await _until(lambda: len(fast.pieces) == len(slow.pieces) == 1)

    slow.reads.clear()
    service.tell(3 * KEPT)
    await _until(lambda: len(fast.pieces) == 3 * KEPT + 1)
    slow.reads.set()

    await _until(lambda: len(slow.pieces) == 3 * KEPT + 1)
    assert slow.numbers == fast.numbers
    await _until(lambda: service.open == 1)


async def test_a_slow_one_without_a_token_is_told_to_come_back(service: Service) -> None:
    streams = Streams(asyncio.Event(), first_wait=0)
    fast, slow = (Client(streams, service.leases, leases.WatchLeasesRequest()) for _ in range(2))
    service.tell(1)
    await _until(lambda: len(fast.pieces) == len(slow.pieces) == 1)

    slow.reads.clear()
    service.tell(3 * KEPT)
    await _until(lambda: len(fast.pieces) == 3 * KEPT + 1)
    slow.reads.set()
    await slow.serving

    assert b"READER_TOO_SLOW" in slow.pieces[-1]
    await fast.leave()


async def test_the_service_waits_when_nobody_reads(service: Service, watch: Watch) -> None:
    client = watch()
    service.tell(1)
    await _until(lambda: len(client.pieces) == 1)

    client.reads.clear()
    service.tell(10 * KEPT)
    await _until(lambda: service.read >= AHEAD)

    assert service.read <= 2 * AHEAD + 2  # what is ahead, and what the client is being sent
    client.reads.set()
    await _until(lambda: client.numbers == list(range(1, 10 * KEPT + 2)))


async def test_who_still_reads_the_old_keeps_the_new_from_ending(service: Service, watch: Watch) -> None:
    early = watch()
    service.tell(10)
    await _until(lambda: len(early.pieces) == 10)
    late, slow = watch("0"), watch("0")
    slow.reads.clear()
    await _until(lambda: len(late.pieces) == 10 and service.calls == 2 and service.open == 1)

    await early.leave()
    await late.leave()
    service.tell(3)
    slow.reads.set()

    await _until(lambda: slow.numbers == list(range(1, 14)))
    assert service.calls == 2


async def test_who_takes_long_to_begin_hears_all_from_the_beginning(service: Service, watch: Watch) -> None:
    fast, slow = watch(), watch()
    slow.reads.clear()
    service.tell(2 * KEPT)
    await _until(lambda: len(fast.pieces) == 2 * KEPT)

    slow.reads.set()

    await _until(lambda: slow.numbers == fast.numbers)
