"""How a server starts, tells that it is ready, and ends without losing a call."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # has no annotations
from lockgroove.config.v1 import config_pb2 as pb
from lockgroove.config.v1 import config_pb2_grpc as rpc

from libs.addresses import AddressTaken
from libs.errors import Unavailable
from libs.rpc.server import Server
from tests.contract.rpc.conftest import CONFIG, SERVICE_TOKEN, Config, Net, config_server

REQUEST = pb.GetSettingsRequest()
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Gate:
    """A handler that waits until it is let through."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, request: Any) -> pb.Settings:
        self.entered.set()
        await self.open.wait()
        return pb.Settings(etag='"let through"')

    async def stream(self, request: Any) -> AsyncIterator[pb.Snapshot]:
        yield pb.Snapshot(revision=1)
        await self(request)


async def health(address: str, service: str = "", *, until: int) -> None:
    """Waits until the service has this health."""
    async with grpc.aio.insecure_channel(address) as channel:
        async for answer in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=service)):
            if answer.status == until:
                return


@pytest.mark.parametrize("service", ["", CONFIG])
async def test_health_needs_no_credential(net: Net, service: str) -> None:
    server = await net.serve(Config())

    await health(server.address, service, until=SERVING)


async def test_health_follows_readiness_both_ways(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.rpc.server._CHECK_AGAIN_WHEN_READY", 0.01)
    away = True

    async def ready() -> None:
        if away:
            raise Unavailable("the database is away")

    server = await net.serve(Config(), ready=ready)
    await health(server.address, until=NOT_SERVING)
    away = False
    await health(server.address, until=SERVING)
    away = True
    await health(server.address, CONFIG, until=NOT_SERVING)


async def test_a_check_that_breaks_is_a_check_that_fails(net: Net) -> None:
    async def ready() -> None:
        raise ZeroDivisionError

    server = await net.serve(Config(), ready=ready)

    await health(server.address, until=NOT_SERVING)


async def test_calls_to_a_server_that_is_not_ready_are_unavailable(net: Net) -> None:
    async def never() -> None:
        raise Unavailable("not yet")

    stub = await net.stub(Config(), ready=never)

    with pytest.raises(Unavailable):
        await stub.GetSettings(REQUEST)


async def test_a_taken_address_is_named(net: Net) -> None:
    server = await net.serve(Config())

    with pytest.raises(AddressTaken, match=f"cannot listen on {server.address}: another program does"):
        await net.serve(Config(), listen=server.address)


async def test_calls_in_flight_are_answered_when_the_server_stops(net: Net) -> None:
    gate = Gate()
    server = config_server(Config(get=gate), listen="127.0.0.1:0")
    async with server:
        stub = rpc.ConfigServiceStub(await net.channel(server.address))
        call = asyncio.ensure_future(stub.GetSettings(REQUEST))
        await gate.entered.wait()
        stopping = asyncio.create_task(server.__aexit__())
        await health_is_gone(server)
        gate.open.set()

        assert (await call).etag == '"let through"'
        await stopping


async def health_is_gone(server: Server) -> None:
    """Waits until the server takes no new calls."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        while True:
            try:
                answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
            except grpc.aio.AioRpcError:
                return
            if answer.status == NOT_SERVING:
                return


async def test_a_call_that_outlasts_the_grace_is_ended(net: Net) -> None:
    gate = Gate()
    server = config_server(Config(get=gate), listen="127.0.0.1:0", grace=timedelta(milliseconds=50))
    async with server:
        stub = rpc.ConfigServiceStub(await net.channel(server.address))
        call = asyncio.ensure_future(stub.GetSettings(REQUEST))
        await gate.entered.wait()
        await server.__aexit__()

        with pytest.raises(Unavailable):
            await call


async def test_streams_end_at_once_and_do_not_hold_up_the_stop(net: Net) -> None:
    server = config_server(Config(watch=Gate().stream), listen="127.0.0.1:0", grace=timedelta(minutes=5))
    async with server:
        stub = rpc.ConfigServiceStub(await net.channel(server.address))
        streams = [aiter(stub.WatchSnapshots(pb.WatchSnapshotsRequest())) for _ in range(5)]
        for stream in streams:
            await anext(stream)

        await server.__aexit__()  # the test's own time is far below the grace

        for stream in streams:
            with pytest.raises(Unavailable) as caught:
                await anext(stream)
            assert caught.value.code_reason == "STOPPING"


async def test_who_watches_health_does_not_hold_up_the_stop(net: Net) -> None:
    server = config_server(Config(), listen="127.0.0.1:0", grace=timedelta(minutes=5))
    async with server, grpc.aio.insecure_channel(server.address) as channel:
        watch = aiter(health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=CONFIG)))
        await anext(watch)

        await server.__aexit__()  # the test's own time is far below the grace

        with pytest.raises(grpc.aio.AioRpcError):
            _ = [answer async for answer in watch]


async def test_serve_ends_when_it_is_told_to(net: Net) -> None:
    stop = asyncio.Event()
    server = config_server(Config(), listen="127.0.0.1:0")
    serving = asyncio.create_task(server.serve(stop))

    stop.set()

    await serving


async def test_a_channel_finds_a_server_that_was_started_again(net: Net) -> None:
    server = await net.serve(Config())
    stub = rpc.ConfigServiceStub(await net.channel(server.address))
    await stub.GetSettings(REQUEST)
    await server.__aexit__()

    await net.serve(Config(), listen=server.address)

    assert await stub.GetSettings(REQUEST, wait_for_ready=True)


async def test_an_idempotent_call_is_tried_again_by_itself(net: Net) -> None:
    tries: list[Any] = []

    async def second_time(request: Any) -> pb.Settings:
        tries.append(request)
        if len(tries) == 1:
            raise Unavailable("not now")
        return pb.Settings()

    stub = await net.stub(Config(get=second_time))

    assert await stub.GetSettings(REQUEST)
    assert len(tries) == 2


async def test_ten_thousand_bytes_over_the_limit_of_gRPC_itself_pass(net: Net) -> None:
    large = "x" * (4 * 1024 * 1024 + 10_000)

    async def get(request: Any) -> pb.Settings:
        return pb.Settings(etag=large)

    stub = await net.stub(Config(get=get), SERVICE_TOKEN)

    assert len((await stub.GetSettings(REQUEST)).etag) == len(large)
