"""The ground that every slice of the service stands on: telemetry, keys, database, the other services."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc

from libs.clock import Clock, SystemClock
from libs.crypto import Keyring, derive, load_root_key, service_token
from libs.rpc.client import open_channel
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.sql.upgrade import open_service_database
from libs.telemetry import Telemetry, open_telemetry
from services.config import migrations
from services.config.settings import Settings
from services.config.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What slices are built from. `token` proves us to the other services; channels to them connect when used."""

    telemetry: Telemetry
    clock: Clock
    database: Database
    tokens: PageTokens
    vault: Vault
    acquisition: grpc.aio.Channel
    webhooks: grpc.aio.Channel
    gateway: str
    token: str = field(repr=False)


@asynccontextmanager
async def open_ground(settings: Settings) -> AsyncIterator[Ground]:
    """Opens it. Raises AppError for what the environment, the root key or the database deny."""
    async with AsyncExitStack() as stack:
        telemetry = stack.enter_context(
            open_telemetry("config", otlp_endpoint=settings.otlp_endpoint, level=settings.log_level)
        )
        root = load_root_key(settings.home, settings.secret_key)
        token = service_token(root)
        database = await stack.enter_async_context(_open_database(settings))

        async def channel(target: str) -> grpc.aio.Channel:
            return await stack.enter_async_context(open_channel(target, credential=token, tracer=telemetry.tracer))

        yield Ground(
            telemetry=telemetry,
            clock=SystemClock(),
            database=database,
            tokens=PageTokens(derive(root, "config page tokens")),
            vault=Vault(Keyring.from_secret(root), fingerprint_key=derive(root, "config fingerprints")),
            acquisition=await channel(settings.acquisition),
            webhooks=await channel(settings.webhooks),
            gateway=settings.gateway,
            token=token,
        )


def _open_database(settings: Settings) -> AbstractAsyncContextManager[Database]:
    return open_service_database(
        "config",
        home=settings.home,
        configured=settings.database,
        package=migrations.__name__,
        head=migrations.HEAD,
    )
