"""The acquisition service, put together."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as rpc

from libs import ids
from libs.clock import SystemClock
from libs.crypto import derive, load_root_key, service_token
from libs.live import LiveSettings
from libs.outbound.http import httpx
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.client import open_channel
from libs.rpc.server import Server
from libs.service import Loop, Service
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.sql.upgrade import open_service_database
from libs.telemetry import Telemetry, open_telemetry
from libs.telemetry.exposition import open_exposition
from libs.work.store import SqlWorkStore
from services.acquisition import migrations, tables
from services.acquisition.domain.acquisitions import Acquisitions
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.bell import Bell
from services.acquisition.domain.control import Control
from services.acquisition.domain.feed import Feed
from services.acquisition.domain.step import Steps
from services.acquisition.knowledge.wiring import open_knower
from services.acquisition.leases.wiring import make_leases
from services.acquisition.lidarr.client import LidarrClient
from services.acquisition.live import Wishes
from services.acquisition.metrics import AcquisitionMetrics
from services.acquisition.peers.store import SqlPeerRecords
from services.acquisition.peers.wiring import serve_peers
from services.acquisition.servicer import AcquisitionServicer
from services.acquisition.settings import Settings
from services.acquisition.sources import Slskd, Soulseek, lidarr_steps
from services.acquisition.store import SqlAcquisitionStore
from services.acquisition.switches import SqlSwitches
from services.acquisition.upkeep.wiring import upkeep_loops
from services.acquisition.worker import AcquisitionWork
from services.acquisition.workers import Workers

SERVICE = pb.DESCRIPTOR.services_by_name["AcquisitionService"].full_name
CLOCK = SystemClock()


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[Service]:
    """Constructs everything in order. Raises AppError for what the environment, the root key or the database deny."""
    async with AsyncExitStack() as stack:
        telemetry = stack.enter_context(
            open_telemetry("acquisition", otlp_endpoint=settings.otlp_endpoint, level=settings.log_level)
        )
        root = load_root_key(settings.home, settings.secret_key)
        token, tokens = service_token(root), PageTokens(derive(root, "acquisition page tokens"))
        database = await stack.enter_async_context(_open_database(settings))
        live = await stack.enter_async_context(_followed_settings(settings, token, telemetry))
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))

        wishes = Wishes(lambda: live.current, home=settings.home)
        metrics, bell = AcquisitionMetrics(telemetry.metrics, CLOCK), Bell()
        store = SqlAcquisitionStore(database, SqlWorkStore(database, tables.engine), tokens=tokens)
        leases = make_leases(database, tokens=tokens, metrics=telemetry.metrics, clock=CLOCK)
        lidarr = LidarrClient(http, address=wishes.lidarr, clock=CLOCK, metrics=metrics)
        knower = open_knower(
            database,
            http,
            lidarr=lidarr,
            musicbrainz=wishes.musicbrainz,
            lastfm=wishes.lastfm,
            telemetry=telemetry,
            clock=CLOCK,
        )
        records = SqlPeerRecords(database, tokens=tokens, clock=CLOCK)
        soulseek = Soulseek(
            database,
            wishes,
            knower=knower,
            records=records,
            leases=leases.leases,
            telemetry=telemetry,
            home=settings.home,
            clock=CLOCK,
        )
        live.subscribe(lambda _: soulseek.keeper.follow(wishes.account()))
        live.subscribe(lambda _: soulseek.keeper.share(wishes.sharing()))
        slskd = Slskd(http, wishes, knower=knower, records=records, gate=soulseek.gate, clock=CLOCK)
        steps: dict[Source, Steps] = {
            Source.SOULSEEK: soulseek.steps,
            Source.LIDARR: lidarr_steps(lidarr, wishes, clock=CLOCK),
            Source.SLSKD: slskd.steps,
        }
        workers = Workers(
            AcquisitionWork(store, steps, metrics=metrics, clock=CLOCK, configured=wishes.configured),
            database,
            gates={Source.SOULSEEK: soulseek.is_ours, Source.LIDARR: _always, Source.SLSKD: _always},
            concurrency=wishes.concurrency,
            metrics=metrics,
            tracer=telemetry.tracer,
            bell=bell,
            clock=CLOCK,
        )

        switches = SqlSwitches(database)
        control = Control(switches, problems=_problems(soulseek, wishes), bell=bell, hurry=workers.hurry)
        upkeep = upkeep_loops(
            database,
            switches,
            kept=wishes.retention,
            leases=leases.leases,
            metrics=telemetry.metrics,
            clock=CLOCK,
        )
        acquisitions = Acquisitions(
            store, rules=wishes.rules, bell=bell, hurry=workers.hurry, clock=CLOCK, new_id=ids.new
        )
        authenticator = KeyAuthenticator(token, live.api_keys)
        ready = partial(_ready, live, database)
        server = Server(settings.listen, authenticator=authenticator, telemetry=telemetry, ready=ready)
        servicer = AcquisitionServicer(acquisitions, control=control, feed=Feed(store, bell=bell))
        server.add(servicer, rpc.add_AcquisitionServiceServicer_to_server, SERVICE)
        leases.serve(server)
        serve_peers(server, records, CLOCK)
        await stack.enter_async_context(open_exposition(telemetry.metrics, settings.listen))
        work = partial(_work, live, (soulseek, slskd), store, workers)
        keeping = [partial(_once_settled, live, loop) for loop in upkeep]
        yield Service(server, loops=[live.run, *leases.loops, *keeping, work])


def _problems(soulseek: Soulseek, wishes: Wishes) -> dict[Source, Callable[[], str]]:
    return {
        Source.SOULSEEK: soulseek.problem,
        Source.LIDARR: wishes.lidarr_problem,
        Source.SLSKD: wishes.slskd_problem,
    }


def _always() -> bool:
    return True


async def _once_settled(live: LiveSettings, loop: Loop) -> None:
    await live.first()
    await loop()


async def _ready(live: LiveSettings, database: Database) -> None:
    await live.ready()
    await database.ping()


async def _work(
    live: LiveSettings, sources: tuple[Soulseek, Slskd], store: SqlAcquisitionStore, workers: Workers
) -> None:
    """Work until cancelled; the session ends after the steps that use it."""
    soulseek, _ = sources
    await live.first()
    async with asyncio.TaskGroup() as group:
        for source in sources:  # beside the work: a disk may be slow, or hang
            group.create_task(source.sweep(store.ended))
        keeping = group.create_task(soulseek.keeper.run())
        try:
            await workers.run()
        finally:
            keeping.cancel()


@asynccontextmanager
async def _followed_settings(settings: Settings, token: str, telemetry: Telemetry) -> AsyncIterator[LiveSettings]:
    async with open_channel(settings.config, credential=token, tracer=telemetry.tracer) as config:
        yield LiveSettings(config)


def _open_database(settings: Settings) -> AbstractAsyncContextManager[Database]:
    return open_service_database(
        "acquisition",
        home=settings.home,
        configured=settings.database,
        package=migrations.__name__,
        head=migrations.HEAD,
    )
