"""The ground that every slice of the service stands on: telemetry, keys, database, the other services."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import grpc
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.clock import Clock, SystemClock
from libs.crypto import Keyring, RootKeys, Tampered, WrongKey, derive, load_root_keys
from libs.crypto.safe import Safe, open_safe
from libs.rpc.client import open_channel
from libs.rpc.tls import Certificates, open_certificates
from libs.schema.upgrade import open_service_database
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.telemetry import Telemetry, open_telemetry
from services.config import migrations
from services.config.settings import Settings
from services.config.tables import config_state, data_key
from services.config.vault import Vault

_LASTING = {"fingerprints": "config fingerprints"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What slices are built from. `service_tokens` prove other services to us; channels to them connect when used."""

    telemetry: Telemetry
    clock: Clock
    database: Database
    tokens: PageTokens
    safe: Safe
    vault: Vault
    acquisition: grpc.aio.Channel
    webhooks: grpc.aio.Channel
    gateway: str
    certificates: Certificates | None = None
    service_tokens: Sequence[str] = field(repr=False)


@asynccontextmanager
async def open_ground(settings: Settings) -> AsyncIterator[Ground]:
    """Opens it. Raises AppError for what the environment, the root key or the database deny."""
    async with AsyncExitStack() as stack:
        telemetry = stack.enter_context(open_telemetry("config", settings.telemetry))
        roots = load_root_keys(
            settings.home, settings.secret_key, settings.previous_secret_key, mounted=settings.secret_key_file
        )
        certificates = open_certificates(settings.tls, metrics=telemetry.metrics)
        database = await stack.enter_async_context(_open_database(settings))
        database.observe(telemetry)
        safe = await open_safe(database, data_key, roots, lasting=_LASTING, fits=partial(_fits, roots))

        async def channel(target: str) -> grpc.aio.Channel:
            opening = open_channel(
                target, credential=roots.service_token, tracer=telemetry.tracer, certificates=certificates
            )
            return await stack.enter_async_context(opening)

        yield Ground(
            telemetry=telemetry,
            clock=SystemClock(),
            database=database,
            tokens=PageTokens(derive(roots.shared, "config page tokens")),
            safe=safe,
            vault=Vault(safe),
            acquisition=await channel(settings.acquisition),
            webhooks=await channel(settings.webhooks),
            gateway=settings.gateway,
            certificates=certificates,
            service_tokens=roots.service_tokens,
        )


async def _fits(roots: RootKeys, connection: AsyncConnection) -> bool:
    """Whether the root keys open what releases without data keys sealed at their first start."""
    canary = await connection.scalar(select(config_state.c.canary))
    try:
        return canary is None or bool(Keyring.from_secret(*roots.all).open(canary, context="canary"))
    except (WrongKey, Tampered):
        return False


def _open_database(settings: Settings) -> AbstractAsyncContextManager[Database]:
    return open_service_database(
        "config",
        home=settings.home,
        configured=settings.database,
        package=migrations.__name__,
        head=migrations.HEAD,
    )
