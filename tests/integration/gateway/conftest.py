"""A gateway on a real port before real gRPC servers, whose services answer as each test says."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.rpc import status_pb2  # type: ignore[import-untyped] # typed, but not marked so
from lockgroove.acquisition.v1 import acquisition_pb2 as acquisition
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as acquisition_rpc
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.api.v1 import status_pb2 as status
from lockgroove.api.v1 import status_pb2_grpc as status_rpc
from lockgroove.config.v1 import config_pb2 as config
from lockgroove.config.v1 import config_pb2_grpc as config_rpc
from lockgroove.webhooks.v1 import webhooks_pb2 as webhooks
from lockgroove.webhooks.v1 import webhooks_pb2_grpc as webhooks_rpc

from libs.crypto import service_token
from libs.errors import AppError, NotFound, Unavailable
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.errors import to_status
from libs.rpc.server import Server
from libs.telemetry import Telemetry
from libs.telemetry.exposition import open_exposition
from libs.telemetry.options import TelemetryOptions
from services.gateway.app import open_app
from services.gateway.settings import Settings
from tests.support.ports import free_ports
from tests.support.waiting import eventually

ROOT_KEY = "gateway-tests-root-key-0123456789-abc"
KEY = "lg_gateway-tests"
HELD = config.ApiKey(title="tests", digest=sha256(KEY.encode()).digest(), scopes=[api.ADMIN])
UNLIMITED = config.GatewaySettings(
    requests_per_minute=1_000_000, requests_per_hour=10_000_000, request_burst=1_000_000, failed_attempts=100_000
)


class Acquisitions(acquisition_rpc.AcquisitionServiceServicer):
    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.switch: acquisition.KillSwitch | None = acquisition.KillSwitch()
        self.changes: asyncio.Queue[acquisition.WatchAcquisitionsResponse | AppError | None] = asyncio.Queue()
        self.waiting = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def CreateAcquisition(self, request: Any, context: Any) -> acquisition.Acquisition:
        self.requests.append(request)
        made = acquisition.Acquisition(name="acquisitions/acq-1", state=acquisition.Acquisition.QUEUED, etag='"1"')
        made.album.CopyFrom(request.acquisition.album)
        return made

    async def GetAcquisition(self, request: Any, context: Any) -> acquisition.Acquisition:
        self.requests.append(request)
        match request.name:
            case "acquisitions/missing":
                raise NotFound("no such acquisition", metadata={"name": request.name}, reason="ACQUISITION_NOT_FOUND")
            case "acquisitions/broken":
                raise RuntimeError("a secret text")
            case "acquisitions/slow":
                await self._wait()
        return acquisition.Acquisition(name=request.name)

    async def ListAcquisitions(self, request: Any, context: Any) -> acquisition.ListAcquisitionsResponse:
        self.requests.append(request)
        return acquisition.ListAcquisitionsResponse(next_page_token="t")

    async def WatchAcquisitions(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.requests.append(request)
        try:
            while (change := await self.changes.get()) is not None:
                if isinstance(change, AppError):
                    raise change
                yield change
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def CancelAcquisition(self, request: Any, context: Any) -> acquisition.Acquisition:
        self.requests.append(request)
        return acquisition.Acquisition(name=request.name, state=acquisition.Acquisition.CANCELLED)

    async def RetryAcquisition(self, request: Any, context: Any) -> acquisition.Acquisition:
        raise NotImplementedError

    async def GetKillSwitch(self, request: Any, context: Any) -> acquisition.KillSwitch:
        if self.switch is None:
            raise Unavailable("the database is away")
        return self.switch

    async def ReportLidarrFact(self, request: Any, context: Any) -> acquisition.ReportLidarrFactResponse:
        raise NotImplementedError

    async def _wait(self) -> None:
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class Configuration(config_rpc.ConfigServiceServicer):
    def __init__(self) -> None:
        self.updates: list[config.UpdateSettingsRequest] = []
        self.snapshot = config.Snapshot(settings=config.Settings(gateway=UNLIMITED), api_keys=[HELD])

    async def GetSettings(self, request: Any, context: Any) -> config.Settings:
        return config.Settings()

    async def UpdateSettings(self, request: Any, context: Any) -> config.Settings:
        self.updates.append(request)
        return config.Settings(etag='"2"', secrets_set=["lidarr.apiKey"])

    async def WatchSnapshots(self, request: Any, context: Any) -> AsyncIterator[config.Snapshot]:
        yield self.snapshot


class Inbox(webhooks_rpc.WebhooksServiceServicer):
    def __init__(self) -> None:
        self.calls: list[list[webhooks.Delivery]] = []
        self.refused: dict[str, AppError] = {}
        self.open = asyncio.Event()
        self.open.set()

    async def IngestDeliveries(self, request: Any, context: Any) -> webhooks.IngestDeliveriesResponse:
        self.calls.append(list(request.deliveries))
        await self.open.wait()
        return webhooks.IngestDeliveriesResponse(outcomes=[self._outcome(each) for each in request.deliveries])

    async def VerifySource(self, request: Any, context: Any) -> webhooks.VerifySourceResponse:
        return webhooks.VerifySourceResponse(source=request.source, ready=True)

    async def GetEvent(self, request: Any, context: Any) -> webhooks.Event:
        return webhooks.Event(name=request.name, headers={"x-a": "b"}, body=b"\x00\xff", body_size_bytes=2)

    async def ListEvents(self, request: Any, context: Any) -> webhooks.ListEventsResponse:
        raise NotImplementedError

    async def WatchEvents(self, request: Any, context: Any) -> AsyncIterator[webhooks.WatchEventsResponse]:
        yield webhooks.WatchEventsResponse()

    async def ReplayEvent(self, request: Any, context: Any) -> webhooks.Event:
        raise NotImplementedError

    def _outcome(self, delivery: webhooks.Delivery) -> webhooks.DeliveryOutcome:
        if delivery.source in self.refused:
            return webhooks.DeliveryOutcome(status=to_status(self.refused[delivery.source]))
        return webhooks.DeliveryOutcome(status=status_pb2.Status(), event_id=f"evt-{delivery.body.decode()}")


class Told(status_rpc.StatusServiceServicer):
    def __init__(self) -> None:
        self.status = status.ServiceStatus(version="1.2.3")

    async def GetServiceStatus(self, request: Any, context: Any) -> status.ServiceStatus:
        return self.status


STATUS = status.DESCRIPTOR.services_by_name["StatusService"].full_name


@dataclass
class Suite:
    """The gateway, its services and a client."""

    settings: Settings
    acquisitions: Acquisitions = field(default_factory=Acquisitions)
    configuration: Configuration = field(default_factory=Configuration)
    inbox: Inbox = field(default_factory=Inbox)
    told: dict[str, Told] = field(default_factory=lambda: defaultdict(Told))
    absent: str = ""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    client: httpx.AsyncClient = field(init=False)
    address: str = ""

    @asynccontextmanager
    async def services(self) -> AsyncIterator[None]:
        """Runs the three servers."""
        held = [HELD]
        authenticator = KeyAuthenticator([service_token(ROOT_KEY.encode())], lambda: held)
        parts: list[tuple[str, Any, Any, Any]] = [
            (self.settings.acquisition, self.acquisitions, acquisition_rpc, acquisition),
            (self.settings.config, self.configuration, config_rpc, config),
            (self.settings.webhooks, self.inbox, webhooks_rpc, webhooks),
        ]
        async with AsyncExitStack() as stack:
            for listen, servicer, rpc, pb in parts:
                (service,) = pb.DESCRIPTOR.services_by_name.values()
                telemetry = Telemetry(service.name)
                server = Server(listen, authenticator=authenticator, telemetry=telemetry)
                server.add(servicer, getattr(rpc, f"add_{service.name}Servicer_to_server"), service.full_name)
                package = service.full_name.split(".")[1]
                server.add(self.told[package], status_rpc.add_StatusServiceServicer_to_server, STATUS)
                if package == self.absent:
                    continue
                await stack.enter_async_context(server)
                await stack.enter_async_context(open_exposition(telemetry.metrics, listen))
            yield

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[None]:
        """Runs the gateway."""
        async with open_app(self.settings) as app, asyncio.TaskGroup() as group:
            self.address = app.server.address
            serving = group.create_task(app.serve(self.stop))
            self.client = httpx.AsyncClient(base_url=f"http://{self.address}", headers={"x-api-key": KEY}, timeout=20)
            async with self.client:
                yield
            self.stop.set()
            await serving


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    ports = free_ports(3)
    first, second, third = (f"127.0.0.1:{port}" for port in ports)
    return Settings(
        home=tmp_path,
        port=0,
        acquisition=first,
        webhooks=second,
        config=third,
        telemetry=TelemetryOptions(level="ERROR"),
        secret_key=ROOT_KEY,
    )


@pytest.fixture
async def suite(settings: Settings) -> AsyncIterator[Suite]:
    running = Suite(settings)

    async def are_settings_here() -> bool:
        told = (await running.client.get("/nothing")).headers["ratelimit-limit"]
        return int(told) >= UNLIMITED.request_burst

    async with running.services(), running.gateway():
        await eventually(are_settings_here, every=0.01)
        yield running


@pytest.fixture
def client(suite: Suite) -> httpx.AsyncClient:
    return suite.client
