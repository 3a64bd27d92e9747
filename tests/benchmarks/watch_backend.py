"""`python -m tests.benchmarks.watch_backend HOST:PORT HOST:PORT`: acquisitions that change ten times a second.

The second address is the config service for what a gateway follows. Each change says when it was told, in its token.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from typing import Any

from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as rpc
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import config_pb2 as config
from lockgroove.config.v1 import config_pb2_grpc as config_rpc

from libs.crypto import service_token
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.server import Server
from libs.service import Loop, Service, run
from tests.benchmarks.load import KEY

ROOT_KEY = "benchmark-root-key-0123456789-abcdef"
EVENTS_PER_SECOND = 10

_API_KEY = config.ApiKey(title="benchmark", digest=sha256(KEY.encode()).digest(), scopes=[api.ADMIN])
_LIMITS = config.GatewaySettings(requests_per_minute=1_000_000, requests_per_hour=10_000_000, request_burst=1_000_000)
_FILLER = "x" * 400  # an event is 1 KB of JSON with it


class _Acquisitions(rpc.AcquisitionServiceServicer):
    """Abstract in its stubs: what is not called here has no answer."""

    def __init__(self) -> None:
        self._news = asyncio.Condition()
        self._told: list[pb.WatchAcquisitionsResponse] = []

    async def tell(self) -> None:
        """One change after the other."""
        begun = time.monotonic()
        while True:
            number = len(self._told) + 1
            await asyncio.sleep(begun + number / EVENTS_PER_SECOND - time.monotonic())
            changed = pb.Acquisition(name=f"acquisitions/acq-{number}", album=pb.Album(title=_FILLER))
            async with self._news:
                token = f"{number}.{time.monotonic_ns()}"
                self._told.append(pb.WatchAcquisitionsResponse(acquisition=changed, resume_token=token))
                self._news.notify_all()

    async def GetAcquisition(self, request: pb.GetAcquisitionRequest, context: Any) -> pb.Acquisition:
        return pb.Acquisition(name=request.name)

    async def WatchAcquisitions(
        self, request: pb.WatchAcquisitionsRequest, context: Any
    ) -> AsyncIterator[pb.WatchAcquisitionsResponse]:
        number = len(self._told)
        while True:
            async with self._news:
                while number == len(self._told):
                    await self._news.wait()
            number += 1
            yield self._told[number - 1]


class _Config(config_rpc.ConfigServiceServicer):
    async def WatchSnapshots(self, request: Any, context: Any) -> AsyncIterator[config.Snapshot]:
        yield config.Snapshot(revision=1, api_keys=[_API_KEY], settings=config.Settings(gateway=_LIMITS))
        await asyncio.Event().wait()


@asynccontextmanager
async def _open_app(listens: list[str]) -> AsyncIterator[Service[Any]]:
    authenticator = KeyAuthenticator([service_token(ROOT_KEY.encode())], lambda: [_API_KEY])
    acquisition_listen, config_listen = listens
    acquisitions: Any = _Acquisitions  # its stubs want every method
    configuration: Any = _Config
    told = acquisitions()
    tell: Loop = told.tell
    async with AsyncExitStack() as stack:
        other = Server(config_listen, authenticator=authenticator)
        name = config.DESCRIPTOR.services_by_name["ConfigService"].full_name
        other.add(configuration(), config_rpc.add_ConfigServiceServicer_to_server, name)
        await stack.enter_async_context(other)
        server = Server(acquisition_listen, authenticator=authenticator)
        name = pb.DESCRIPTOR.services_by_name["AcquisitionService"].full_name
        yield Service(server.add(told, rpc.add_AcquisitionServiceServicer_to_server, name), loops=[tell])


if __name__ == "__main__":
    sys.exit(run(_open_app, sys.argv[1:]))
