"""A real server on loopback whose handlers do what a test says, and real channels to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from lockgroove.config.v1 import config_pb2 as pb
from lockgroove.config.v1 import config_pb2_grpc as rpc

from libs.rpc.auth import ApiKey, KeyAuthenticator
from libs.rpc.client import open_channel
from libs.rpc.server import Server

SERVICE_TOKEN = "lgs_a-token-for-tests"
CONFIG = pb.DESCRIPTOR.services_by_name["ConfigService"].full_name

Answer = Callable[[Any], Awaitable[Any]]
Stream = Callable[[Any], AsyncIterator[Any]]


async def default_settings(request: Any) -> pb.Settings:
    return pb.Settings(etag='"1"')


async def one_snapshot(request: Any) -> AsyncIterator[pb.Snapshot]:
    yield pb.Snapshot(revision=1)


@dataclass
class Config(rpc.ConfigServiceServicer):
    """A config service that answers as the test says."""

    get: Answer = default_settings
    update: Answer = default_settings
    watch: Stream = one_snapshot

    async def GetSettings(self, request: Any, context: Any) -> pb.Settings:
        settings: pb.Settings = await self.get(request)
        return settings

    async def UpdateSettings(self, request: Any, context: Any) -> pb.Settings:
        settings: pb.Settings = await self.update(request)
        return settings

    async def WatchSnapshots(self, request: Any, context: Any) -> AsyncIterator[pb.Snapshot]:
        async for snapshot in self.watch(request):
            yield snapshot

    DescribeSettings = WatchSettings = None  # type: ignore[assignment] # never called
    ListSettingsRevisions = GetSettingsRevision = RollbackSettings = None  # type: ignore[assignment] # nor these
    ExportSettings = ImportSettings = None  # type: ignore[assignment] # nor these


class Net:
    """Starts servers and opens channels, and closes them all when the test ends."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def serve(
        self, config: Config, *, listen: str = "127.0.0.1:0", keys: Iterable[ApiKey] = (), **options: Any
    ) -> Server:
        """A server of this config service that has become ready."""
        server = config_server(config, listen=listen, keys=keys, **options)
        await self._stack.enter_async_context(server)
        return server

    async def channel(self, address: str, credential: str | None = SERVICE_TOKEN, **options: Any) -> grpc.aio.Channel:
        """A channel of ours."""
        return await self._stack.enter_async_context(open_channel(address, credential=credential, **options))

    async def stub(
        self, config: Config, credential: str | None = SERVICE_TOKEN, **options: Any
    ) -> rpc.ConfigServiceStub:
        """Serves this config service, and calls it."""
        server = await self.serve(config, **options)
        return rpc.ConfigServiceStub(await self.channel(server.address, credential))


async def call_raw(channel: Any, method: str, sent: bytes) -> bytes:
    """Sends any bytes to a method of the config service."""
    answered: bytes = await channel.unary_unary(f"/{CONFIG}/{method}")(sent)
    return answered


def config_server(config: Config, *, listen: str, keys: Iterable[ApiKey] = (), **options: Any) -> Server:
    authenticator = KeyAuthenticator([SERVICE_TOKEN], lambda: list(keys))
    server = Server(listen, authenticator=authenticator, **options)
    return server.add(config, rpc.add_ConfigServiceServicer_to_server, CONFIG)


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    async with AsyncExitStack() as stack, asyncio.timeout(30):
        yield Net(stack)
