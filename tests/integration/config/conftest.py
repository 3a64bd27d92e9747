"""The config service as a whole: its app, opened in this process, and clients of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from lockgroove.config.v1 import config_pb2 as pb
from lockgroove.config.v1 import config_pb2_grpc as rpc

from libs.crypto import service_token
from libs.rpc.client import open_channel
from services.config.app import open_app
from services.config.settings import Settings
from tests.support.new_home import make_schema
from tests.support.ports import free_ports

ADMIN_KEY = "lg_integration-tests"
ROOT_KEY = "integration-tests-root-key-0123456789"
SERVICE_TOKEN = service_token(ROOT_KEY.encode())

Stub = rpc.ConfigServiceStub


class Config:
    """A running config service."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @asynccontextmanager
    async def client(self, credential: str = ADMIN_KEY) -> AsyncIterator[Stub]:
        """A client with its credential."""
        async with open_channel(self.settings.listen, credential=credential) as channel:
            yield Stub(channel)


Serve = Callable[..., AbstractAsyncContextManager[Config]]


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest) -> str | None:
    """DATABASE_URL: unset, or that of a fresh PostgreSQL database."""
    return None if request.param == "sqlite" else cast(str, request.getfixturevalue("settled_postgres_url"))


@pytest.fixture
def settings(tmp_path: Path, where: str | None) -> Settings:
    """The settings of a process with its own home, database and port."""
    return settings_in(tmp_path, where)


@pytest.fixture
def alone(tmp_path: Path) -> Settings:
    """The settings of a process on SQLite, for what is the same on each kind of database."""
    return settings_in(tmp_path)


@pytest.fixture
def serve(settings: Settings) -> Serve:
    """Starts the service with these variables as fallbacks; starting again finds what was kept."""

    def start(environment: Mapping[str, str] | None = None) -> AbstractAsyncContextManager[Config]:
        return serving(settings, environment)

    return start


def settings_in(home: Path, database: str | None = None, *, admin_key: str | None = ADMIN_KEY) -> Settings:
    """The settings of a process with its own port."""
    listen = f"127.0.0.1:{free_ports(1)[0]}"
    return Settings(home=home, database=database, listen=listen, secret_key=ROOT_KEY, admin_key=admin_key)


@asynccontextmanager
async def serving(settings: Settings, environment: Mapping[str, str] | None = None) -> AsyncIterator[Config]:
    """Runs the service until the exit."""
    stop = asyncio.Event()
    await make_schema("config", home=settings.home, configured=settings.database)
    async with open_app(replace(settings, environment=environment or {})) as app, asyncio.TaskGroup() as group:
        group.create_task(app.serve(stop))
        try:
            config = Config(settings)
            async with config.client() as client:
                await client.GetSettings(pb.GetSettingsRequest(), wait_for_ready=True)
            yield config
        finally:
            stop.set()
