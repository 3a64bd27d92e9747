"""What the webhooks service needs around it: a config service and acquisitions that do what a test says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from lockgroove.acquisition.v1 import acquisition_pb2 as acquisition_pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as acquisition_rpc
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import config_pb2 as config_pb
from lockgroove.config.v1 import config_pb2_grpc as config_rpc

from libs.crypto import service_token
from libs.errors import AppError
from libs.rpc.auth import KeyAuthenticator, digest
from libs.rpc.server import Server

ROOT_KEY = "webhook-tests-root-key-0123456789"
SERVICE_TOKEN = service_token(ROOT_KEY.encode())
OPERATOR_KEY = "lg_operator"
READER_KEY = "lg_reader"
ACQUISITION = "acquisitions/acq-1"


class FakeConfig(config_rpc.ConfigServiceServicer):
    """A config service whose webhook secret a test may change at any time."""

    def __init__(self, secret: str = "") -> None:
        self._secret = secret
        self._revision = 1
        self._changed = asyncio.Condition()

    async def set_secret(self, secret: str) -> None:
        """Change it for everybody who follows."""
        async with self._changed:
            self._secret, self._revision = secret, self._revision + 1
            self._changed.notify_all()

    async def WatchSnapshots(self, request: Any, context: Any) -> AsyncIterator[config_pb.Snapshot]:
        """The snapshot in force, then each new one."""
        async with self._changed:
            while True:
                yield self._snapshot()
                await self._changed.wait()

    def _snapshot(self) -> config_pb.Snapshot:
        settings = config_pb.Settings()
        if self._secret:
            settings.lidarr.webhook_secret = self._secret
        keys = [
            config_pb.ApiKey(title="operator", digest=digest(OPERATOR_KEY), scopes=[api.ADMIN]),
            config_pb.ApiKey(title="reader", digest=digest(READER_KEY), scopes=[api.READ]),
        ]
        return config_pb.Snapshot(revision=self._revision, settings=settings, api_keys=keys)


@dataclass
class FakeAcquisitions(acquisition_rpc.AcquisitionServiceServicer):
    """Acquisitions that remember every fact, and answer as a test says; telling a fact twice counts once."""

    answer: Sequence[str] | AppError = (ACQUISITION,)
    facts: dict[str, acquisition_pb.ReportLidarrFactRequest] = field(default_factory=dict)
    batch_answer: AppError | None = None
    calls: int = 0
    batches: list[int] = field(default_factory=list)
    made: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def WatchAcquisitions(
        self, request: Any, context: Any
    ) -> AsyncIterator[acquisition_pb.WatchAcquisitionsResponse]:
        """Tell of each acquisition that a test puts into `made`."""
        while True:
            acquisition = acquisition_pb.Acquisition(
                name=await self.made.get(), state=acquisition_pb.Acquisition.WAITING
            )
            yield acquisition_pb.WatchAcquisitionsResponse(acquisition=acquisition)

    async def ReportLidarrFact(self, request: Any, context: Any) -> acquisition_pb.ReportLidarrFactResponse:
        """Take note."""
        self.calls += 1
        if isinstance(self.answer, AppError):
            raise self.answer
        self.facts[request.event_id] = request
        return acquisition_pb.ReportLidarrFactResponse(acquisitions=self.answer)

    async def BatchReportLidarrFacts(self, request: Any, context: Any) -> acquisition_pb.BatchReportLidarrFactsResponse:
        """Take note of each."""
        if self.batch_answer is not None:
            raise self.batch_answer
        self.batches.append(len(request.requests))
        responses = [await self.ReportLidarrFact(fact, context) for fact in request.requests]
        return acquisition_pb.BatchReportLidarrFactsResponse(responses=responses)


@dataclass
class Peers:
    """Both services on loopback."""

    config: FakeConfig
    acquisitions: FakeAcquisitions
    config_address: str
    acquisition_address: str


@asynccontextmanager
async def running_peers(secret: str = "") -> AsyncIterator[Peers]:
    """Serves both until the exit."""
    config = FakeConfig(secret)  # type: ignore[abstract] # the stubs answer UNIMPLEMENTED for the rest
    acquisitions = FakeAcquisitions()  # type: ignore[abstract] # likewise
    first = _server().add(config, config_rpc.add_ConfigServiceServicer_to_server, _name(config_pb, "ConfigService"))
    second = _server().add(
        acquisitions,
        acquisition_rpc.add_AcquisitionServiceServicer_to_server,
        _name(acquisition_pb, "AcquisitionService"),
    )
    async with first, second:
        yield Peers(config, acquisitions, first.address, second.address)


def _server() -> Server:
    return Server("127.0.0.1:0", authenticator=KeyAuthenticator([SERVICE_TOKEN], lambda: ()))


def _name(module: Any, service: str) -> str:
    name: str = module.DESCRIPTOR.services_by_name[service].full_name
    return name
