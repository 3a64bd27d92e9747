"""What travels with a call: its id, its trace, its deadline."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from lockgroove.config.v1 import config_pb2 as pb
from lockgroove.config.v1 import config_pb2_grpc as rpc

from libs.errors import DeadlineExceeded
from libs.rpc import context
from libs.rpc.client import TIMEOUT
from libs.telemetry import correlation
from libs.telemetry.correlation import Trace, new_trace
from tests.contract.rpc.conftest import SERVICE_TOKEN, Config, Net, one_snapshot

REQUEST = pb.GetSettingsRequest()


class Seen:
    """A handler that notes what came with the call."""

    def __init__(self) -> None:
        self.request_id: str | None = None
        self.trace: Trace | None = None
        self.remaining: timedelta | None = None

    async def __call__(self, request: Any) -> pb.Settings:
        self.note()
        return pb.Settings()

    async def stream(self, request: Any) -> AsyncIterator[pb.Snapshot]:
        self.note()
        yield pb.Snapshot(revision=1)

    def note(self) -> None:
        self.request_id = correlation.request_id.get()
        self.trace = correlation.trace.get()
        self.remaining = context.remaining()


async def chained(net: Net, last: Config, timeout: timedelta = TIMEOUT) -> rpc.ConfigServiceStub:
    """A service that calls another one for its answer."""
    behind = await net.serve(last)
    onward = rpc.ConfigServiceStub(await net.channel(behind.address, timeout=timeout))

    async def ask_behind(request: Any) -> pb.Settings:
        return await onward.GetSettings(request)

    async def follow_behind(request: Any) -> AsyncIterator[pb.Snapshot]:
        async for snapshot in onward.WatchSnapshots(pb.WatchSnapshotsRequest()):
            yield snapshot

    return await net.stub(Config(get=ask_behind, watch=follow_behind))


async def test_a_request_id_goes_through_two_services(net: Net) -> None:
    seen = Seen()
    stub = await chained(net, Config(get=seen))

    await stub.GetSettings(REQUEST, metadata=[("x-request-id", "from-a.person_1")])

    assert seen.request_id == "from-a.person_1"


@pytest.mark.parametrize("sent", ["", "x" * 65, "with space", "semi;colon", "a/b"])
async def test_a_request_id_of_another_shape_is_replaced(net: Net, sent: str) -> None:
    seen = Seen()
    stub = await net.stub(Config(get=seen))

    await stub.GetSettings(REQUEST, metadata=[("x-request-id", sent)])

    assert seen.request_id
    assert seen.request_id != sent


async def test_a_call_without_a_request_id_gets_one(net: Net) -> None:
    seen = Seen()
    stub = await net.stub(Config(get=seen))

    await stub.GetSettings(REQUEST)
    first = seen.request_id
    await stub.GetSettings(REQUEST)

    assert first
    assert seen.request_id != first


async def test_a_trace_goes_through_two_services_without_an_endpoint(net: Net) -> None:
    seen, origin = Seen(), new_trace()
    stub = await chained(net, Config(get=seen))

    await stub.GetSettings(REQUEST, metadata=[("traceparent", origin.traceparent)])

    assert seen.trace is not None
    assert seen.trace.trace_id == origin.trace_id
    assert seen.trace.span_id != origin.span_id


async def test_a_stream_carries_the_trace_and_the_request_id_too(net: Net) -> None:
    seen, origin = Seen(), new_trace()
    stub = await chained(net, Config(watch=seen.stream))
    metadata = [("traceparent", origin.traceparent), ("x-request-id", "followed")]

    assert [each.revision async for each in stub.WatchSnapshots(pb.WatchSnapshotsRequest(), metadata=metadata)] == [1]

    assert seen.trace is not None
    assert (seen.trace.trace_id, seen.request_id) == (origin.trace_id, "followed")


async def test_nothing_of_a_call_is_left_for_the_next_one(net: Net) -> None:
    seen = Seen()
    stub = await net.stub(Config(get=seen))

    await stub.GetSettings(REQUEST, metadata=[("x-request-id", "first")], timeout=5)
    await stub.GetSettings(REQUEST)

    assert seen.request_id != "first"
    assert seen.remaining is not None
    assert seen.remaining > timedelta(seconds=9)


async def test_the_deadline_of_the_first_call_binds_the_second(net: Net) -> None:
    seen = Seen()
    stub = await chained(net, Config(get=seen))

    await stub.GetSettings(REQUEST, timeout=3)

    assert seen.remaining is not None
    assert timedelta(seconds=2) < seen.remaining < timedelta(seconds=2.95)


async def test_a_channels_own_timeout_binds_where_it_is_shorter(net: Net) -> None:
    seen = Seen()
    stub = await chained(net, Config(get=seen), timeout=timedelta(seconds=2))

    await stub.GetSettings(REQUEST, timeout=8)

    assert seen.remaining is not None
    assert seen.remaining < timedelta(seconds=2)


async def test_a_deadline_binds_a_stream_that_a_handler_opens(net: Net) -> None:
    seen = Seen()
    stub = await chained(net, Config(watch=seen.stream))

    assert [_ async for _ in stub.WatchSnapshots(pb.WatchSnapshotsRequest(), timeout=3)]

    assert seen.remaining is not None
    assert seen.remaining < timedelta(seconds=3)


async def test_a_stream_has_no_deadline_unless_somebody_sets_one(net: Net) -> None:
    seen = Seen()
    stub = await net.stub(Config(watch=seen.stream))

    assert [_ async for _ in stub.WatchSnapshots(pb.WatchSnapshotsRequest())]

    assert seen.remaining is None


async def test_a_call_that_is_too_slow_ends_for_both_sides(net: Net) -> None:
    cancelled = asyncio.Event()

    async def never(request: Any) -> pb.Settings:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    stub = await net.stub(Config(get=never))
    with pytest.raises(DeadlineExceeded, match="GetSettings did not answer in time"):
        await stub.GetSettings(REQUEST, timeout=0.2)

    await cancelled.wait()


async def test_a_call_whose_client_sets_no_deadline_is_capped(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.rpc.pipeline.UNARY_CAP", timedelta(milliseconds=100))

    async def never(request: Any) -> pb.Settings:
        await asyncio.Event().wait()
        raise AssertionError

    server = await net.serve(Config(get=never))
    async with grpc.aio.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.ConfigServiceStub(channel).GetSettings(REQUEST, metadata=[("x-api-key", SERVICE_TOKEN)])

    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_call_with_no_time_left_is_not_made(net: Net) -> None:
    seen = Seen()
    stub = await net.stub(Config(get=seen))

    context.set_deadline(timedelta(milliseconds=10))
    try:
        with pytest.raises(DeadlineExceeded, match="no time is left"):
            await stub.GetSettings(REQUEST)
    finally:
        context.set_deadline(None)

    assert seen.request_id is None


async def test_a_reader_that_leaves_a_stream_ends_it_at_the_server(net: Net) -> None:
    ended = asyncio.Event()

    async def endless(request: Any) -> AsyncIterator[pb.Snapshot]:
        try:
            async for snapshot in one_snapshot(request):
                yield snapshot
            await asyncio.Event().wait()
        finally:
            ended.set()

    stub = await net.stub(Config(watch=endless))
    call = stub.WatchSnapshots(pb.WatchSnapshotsRequest())
    await anext(aiter(call))
    call.cancel()

    await ended.wait()
