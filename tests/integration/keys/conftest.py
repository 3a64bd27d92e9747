"""The config service in this process, clients of its keys, and a suite that obeys them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import keys_pb2 as pb
from lockgroove.config.v1 import keys_pb2_grpc as rpc

from libs.errors import AppError
from libs.rpc.client import open_channel
from libs.service import OpenApp
from services.config.settings import Settings
from services.gateway.app import open_app as open_gateway
from services.gateway.settings import Settings as GatewaySettings
from services.webhooks.app import open_app as open_webhooks
from services.webhooks.settings import Settings as WebhooksSettings
from tests.integration.config.conftest import ADMIN_KEY, ROOT_KEY, Config, serving, settings_in
from tests.support.new_home import make_schema
from tests.support.ports import free_ports
from tests.support.waiting import eventually

Client = rpc.KeyServiceStub

ON_BOTH = pytest.mark.parametrize("where", ["sqlite", "postgresql"], indirect=True)


@dataclass
class World:
    """A running suite, without acquisition."""

    gateway: str
    webhooks: asyncio.Event  # stops them

    def client(self, key: str = ADMIN_KEY) -> httpx.AsyncClient:
        """Whoever holds this key."""
        return httpx.AsyncClient(base_url=self.gateway, headers={"X-Api-Key": key}, trust_env=False, timeout=30)


@pytest.fixture
def where(request: pytest.FixtureRequest) -> str | None:
    """DATABASE_URL: unset, or that of a fresh PostgreSQL database for tests that are marked with ON_BOTH."""
    postgresql = getattr(request, "param", "sqlite") == "postgresql"
    return cast(str, request.getfixturevalue("settled_postgres_url")) if postgresql else None


@pytest.fixture
def settings(tmp_path: Path, where: str | None) -> Settings:
    return settings_in(tmp_path, where)


@pytest.fixture
async def config(settings: Settings) -> AsyncIterator[Config]:
    async with serving(settings) as config:
        yield config


@pytest.fixture
async def admin(config: Config) -> AsyncIterator[Client]:
    """The administrator, by the key of the environment."""
    async with client(config) as stub:
        yield stub


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    webhooks, acquisition, port = free_ports(3)
    settings = settings_in(tmp_path)
    own: dict[str, Any] = {
        "home": tmp_path,
        "secret_key": ROOT_KEY,
        "config": settings.listen,
        "acquisition": f"127.0.0.1:{acquisition}",
    }
    address = f"127.0.0.1:{webhooks}"
    await make_schema("webhooks", home=tmp_path)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(settings))
        inbox = await stack.enter_async_context(running(open_webhooks, WebhooksSettings(listen=address, **own)))
        await stack.enter_async_context(running(open_gateway, GatewaySettings(port=port, webhooks=address, **own)))
        yield World(gateway=f"http://127.0.0.1:{port}", webhooks=inbox)


@asynccontextmanager
async def running(open_app: OpenApp[Any], settings: Any) -> AsyncIterator[asyncio.Event]:
    """Runs a service until the event that this gives, or the exit."""
    stop = asyncio.Event()
    async with open_app(settings) as app, asyncio.TaskGroup() as group:
        group.create_task(app.serve(stop))
        try:
            yield stop
        finally:
            stop.set()


@asynccontextmanager
async def client(config: Config, credential: str = ADMIN_KEY) -> AsyncIterator[Client]:
    """A client of the keys with its credential."""
    async with open_channel(config.settings.listen, credential=credential) as channel:
        yield Client(channel)


async def make(admin: Client, title: str = "phone", *, scope: api.Scope.ValueType = api.READ, user: str = "") -> pb.Key:
    """A new key with its secret."""
    return await admin.CreateKey(pb.CreateKeyRequest(key=pb.Key(title=title, user=user, scopes=[scope])))


async def good(config: Config, secret: str) -> bool:
    """Whether a secret is good, or the reason why not."""
    return await refusal(config, secret) == ""


async def refusal(config: Config, secret: str) -> str:
    """Why a secret is refused; empty where it is not."""
    async with client(config, secret) as stub:
        try:
            await stub.GetCaller(pb.GetCallerRequest())
        except AppError as error:
            return error.code_reason
    return ""


async def becomes(answer: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Waits until this is the answer."""

    async def there() -> bool:
        return await answer() == wanted

    await eventually(there, every=0.02)
