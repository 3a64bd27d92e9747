"""The ground that every slice of the service stands on: telemetry, keys, database, settings in force."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc

from libs.clock import Clock, SystemClock
from libs.crypto import derive, load_root_keys
from libs.crypto.safe import Safe
from libs.live import LiveSettings
from libs.rpc.client import open_channel
from libs.rpc.tls import Certificates, open_certificates
from libs.schema.upgrade import open_service_database
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.telemetry import Telemetry, open_telemetry
from libs.work.interventions import SqlInterventions
from libs.work.outbox import SqlOutbox
from libs.work.store import SqlWorkStore
from services.webhooks import migrations
from services.webhooks.keys import AUDIT_TRAIL, open_keys
from services.webhooks.settings import Settings
from services.webhooks.tables import work


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What slices are built from.

    `token` proves us to the other services, `service_tokens` them to us; `trail_key` seals the audit trail.
    """

    telemetry: Telemetry
    clock: Clock
    database: Database
    tokens: PageTokens
    outbox: SqlOutbox
    live: LiveSettings
    config: grpc.aio.Channel
    certificates: Certificates | None = None
    service_tokens: Sequence[str] = field(repr=False)
    token: str = field(repr=False)
    trail_key: bytes = field(repr=False)
    safe: Safe = field(repr=False)

    @property
    def jobs(self) -> SqlWorkStore:
        """The durable work of the service."""
        return SqlWorkStore(self.database, work, outbox=self.outbox)

    @property
    def interventions(self) -> SqlInterventions:
        """What people do to that work."""
        return SqlInterventions(work, self.outbox)

    async def ready(self) -> None:
        """Raises Unavailable while the settings are not known or the database is away."""
        await self.live.ready()
        await self.database.ping()

    def channel(self, target: str) -> grpc.aio.Channel:
        """A channel to another service, to be opened."""
        return open_channel(target, credential=self.token, tracer=self.telemetry.tracer, certificates=self.certificates)


@asynccontextmanager
async def open_ground(settings: Settings) -> AsyncIterator[Ground]:
    """Opens it. Raises AppError for what the environment, the root key or the database deny."""
    async with AsyncExitStack() as stack:
        telemetry = stack.enter_context(open_telemetry("webhooks", settings.telemetry))
        roots = load_root_keys(
            settings.home, settings.secret_key, settings.previous_secret_key, mounted=settings.secret_key_file
        )
        certificates = open_certificates(settings.tls, metrics=telemetry.metrics)
        database = await stack.enter_async_context(_open_database(settings))
        database.observe(telemetry)
        safe = await open_keys(database, roots)
        trail_key = safe.key_for(AUDIT_TRAIL)
        channel = await stack.enter_async_context(
            open_channel(
                settings.config, credential=roots.service_token, tracer=telemetry.tracer, certificates=certificates
            )
        )
        yield Ground(
            telemetry=telemetry,
            clock=SystemClock(),
            database=database,
            tokens=PageTokens(derive(roots.shared, "webhooks page tokens")),
            outbox=SqlOutbox(database, work, chain_key=trail_key),
            live=LiveSettings(channel, telemetry),
            config=channel,
            certificates=certificates,
            service_tokens=roots.service_tokens,
            token=roots.service_token,
            trail_key=trail_key,
            safe=safe,
        )


def _open_database(settings: Settings) -> AbstractAsyncContextManager[Database]:
    return open_service_database(
        "webhooks",
        home=settings.home,
        configured=settings.database,
        package=migrations.__name__,
        head=migrations.HEAD,
    )
