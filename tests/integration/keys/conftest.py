"""The config service in this process, and clients of its keys."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import keys_pb2 as pb
from lockgroove.config.v1 import keys_pb2_grpc as rpc

from libs.errors import AppError
from libs.rpc.client import open_channel
from services.config.settings import Settings
from tests.integration.config.conftest import ADMIN_KEY, Config, serving, settings_in
from tests.support.waiting import eventually

Client = rpc.KeyServiceStub

ON_BOTH = pytest.mark.parametrize("where", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def where(request: pytest.FixtureRequest) -> str | None:
    """DATABASE_URL: unset, or that of a fresh PostgreSQL database for tests that are marked with ON_BOTH."""
    postgresql = getattr(request, "param", "sqlite") == "postgresql"
    return cast(str, request.getfixturevalue("postgres_url")) if postgresql else None


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
