"""The ground that every part of the service stands on: telemetry, keys, database, settings in force."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from libs.clock import Clock, SystemClock
from libs.crypto import derive, load_root_keys
from libs.live import LiveSettings
from libs.outbound.http import httpx
from libs.rpc.client import open_channel
from libs.rpc.tls import Certificates, open_certificates
from libs.schema.upgrade import open_service_database
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.telemetry import Telemetry, open_telemetry
from libs.work.metrics import WorkMetrics
from libs.work.store import SqlWorkStore
from services.acquisition import migrations, tables
from services.acquisition.domain.bell import Bell
from services.acquisition.live import Wishes
from services.acquisition.metrics import AcquisitionMetrics
from services.acquisition.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the parts are built from. `service_tokens` prove the other services to us."""

    telemetry: Telemetry
    metrics: AcquisitionMetrics
    work: WorkMetrics
    clock: Clock
    home: Path
    database: Database
    tokens: PageTokens
    http: httpx.AsyncClient
    live: LiveSettings
    wishes: Wishes
    bell: Bell
    certificates: Certificates | None = None
    service_tokens: Sequence[str] = field(repr=False)

    @property
    def jobs(self) -> SqlWorkStore:
        """The durable work of the service."""
        return SqlWorkStore(self.database, tables.engine)

    async def ready(self) -> None:
        """Raises Unavailable while the settings are not known or the database is away."""
        await self.live.ready()
        await self.database.ping()


@asynccontextmanager
async def open_ground(settings: Settings) -> AsyncIterator[Ground]:
    """Opens it. Raises AppError for what the environment, the root key or the database deny."""
    async with AsyncExitStack() as stack:
        telemetry = stack.enter_context(open_telemetry("acquisition", settings.telemetry))
        roots = load_root_keys(
            settings.home, settings.secret_key, settings.previous_secret_key, mounted=settings.secret_key_file
        )
        certificates = open_certificates(settings.tls, metrics=telemetry.metrics)
        clock = SystemClock()
        database = await stack.enter_async_context(_open_database(settings))
        database.observe(telemetry)
        channel = open_channel(
            settings.config, credential=roots.service_token, tracer=telemetry.tracer, certificates=certificates
        )
        live = LiveSettings(await stack.enter_async_context(channel), telemetry)
        yield Ground(
            telemetry=telemetry,
            metrics=AcquisitionMetrics(telemetry.metrics, clock),
            work=WorkMetrics(telemetry.metrics, clock),
            clock=clock,
            home=settings.home,
            database=database,
            tokens=PageTokens(derive(roots.shared, "acquisition page tokens")),
            http=await stack.enter_async_context(httpx.AsyncClient(trust_env=False)),
            live=live,
            wishes=Wishes(lambda: live.current, home=settings.home),
            bell=Bell(),
            certificates=certificates,
            service_tokens=roots.service_tokens,
        )


def _open_database(settings: Settings) -> AbstractAsyncContextManager[Database]:
    return open_service_database(
        "acquisition",
        home=settings.home,
        configured=settings.database,
        package=migrations.__name__,
        head=migrations.HEAD,
    )
