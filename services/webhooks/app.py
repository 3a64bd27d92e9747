"""The webhooks service, put together."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import grpc
from lockgroove.webhooks.v1 import webhooks_pb2 as pb
from lockgroove.webhooks.v1 import webhooks_pb2_grpc as rpc

from libs import ids
from libs.clock import SystemClock
from libs.crypto import Keyring, derive, load_root_key, service_token
from libs.live import LiveSettings
from libs.outbound.http import httpx
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.client import open_channel
from libs.rpc.server import Server
from libs.service import Service
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.sql.upgrade import open_service_database
from libs.telemetry import open_telemetry
from libs.telemetry.exposition import open_exposition
from libs.work.outbox import SqlOutbox
from libs.work.store import SqlWorkStore
from services.webhooks import migrations
from services.webhooks.acquisition import GrpcAcquisitions
from services.webhooks.admission import open_admission
from services.webhooks.dead_letters.wiring import serve_dead_letters
from services.webhooks.domain.feed import Feed
from services.webhooks.domain.handling import Handling, LidarrHandler, SlskdHandler
from services.webhooks.domain.inbox import Inbox
from services.webhooks.domain.processing import Processing
from services.webhooks.domain.source import LIDARR, SLSKD
from services.webhooks.events.servicer import WebhooksServicer
from services.webhooks.events.store import SqlEventStore
from services.webhooks.lidarr.watch import watch_lidarr
from services.webhooks.metrics import SenderMetrics, WebhookMetrics
from services.webhooks.replays.wiring import serve_replays
from services.webhooks.secrets import SettingsSecrets
from services.webhooks.settings import Settings
from services.webhooks.slskd.watch import watch_slskd
from services.webhooks.sources.wiring import open_sources
from services.webhooks.tables import work
from services.webhooks.upkeep.partitions import RoomForBodies
from services.webhooks.upkeep.wiring import Neighbours, Upkeep, open_partitions
from services.webhooks.worker import BacklogGauge, Rematcher, Worker

SERVICE = pb.DESCRIPTOR.services_by_name["WebhooksService"].full_name


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[Service]:
    """Constructs everything in order. Raises AppError for what the environment, the root key or the database deny."""
    async with AsyncExitStack() as stack:
        telemetry = stack.enter_context(
            open_telemetry("webhooks", otlp_endpoint=settings.otlp_endpoint, level=settings.log_level)
        )
        metrics = WebhookMetrics(telemetry.metrics)
        root = load_root_key(settings.home, settings.secret_key)
        token = service_token(root)
        database = await stack.enter_async_context(_open_database(settings))
        tokens = PageTokens(derive(root, "webhooks page tokens"))
        trail_key = derive(root, "webhooks audit trail")
        outbox = SqlOutbox(database, work, chain_key=trail_key)
        store = SqlEventStore(database, tokens, outbox=outbox)

        def channel(target: str) -> grpc.aio.Channel:
            return open_channel(target, credential=token, tracer=telemetry.tracer)

        live = LiveSettings(await stack.enter_async_context(channel(settings.config)))
        acquisitions = GrpcAcquisitions(await stack.enter_async_context(channel(settings.acquisition)))
        stack.push_async_callback(acquisitions.aclose)

        ready = _both(live.ready, store.ping)
        feed = Feed(store)
        handling = Handling({LIDARR.name: LidarrHandler(acquisitions), SLSKD.name: SlskdHandler()})
        processing = Processing(store, handling, log=metrics, clock=SystemClock(), chance=random.random)
        worker = Worker(processing, handled=feed.wake)

        news = _committed(metrics, worker, feed)
        partitions = await open_partitions(database, outbox)
        sink = RoomForBodies(store, partitions.make)
        admission = await stack.enter_async_context(open_admission(sink, committed=news))
        keyring = Keyring.from_secret(root)
        sources = await open_sources(database, keyring, tokens, settings_secret=SettingsSecrets(live).of, log=metrics)
        inbox = Inbox(admission, sources.registry, ready=ready, log=sources.log, new_id=lambda: ids.new("evt"))
        authenticator = KeyAuthenticator(token, live.api_keys)
        server = Server(settings.listen, authenticator=authenticator, telemetry=telemetry, ready=ready)
        server.add(WebhooksServicer(inbox, store, feed), rpc.add_WebhooksServiceServicer_to_server, SERVICE)
        sources.serve(server)
        revived = _waking(worker, feed)
        dead_letters = serve_dead_letters(server, database, outbox, tokens=tokens, telemetry=telemetry, decided=revived)
        replays = serve_replays(
            server, database, outbox, tokens=tokens, telemetry=telemetry, clock=SystemClock(), replayed=revived
        )
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        senders = SenderMetrics(telemetry.metrics)
        lidarr = watch_lidarr(
            http, live, database, gateway=settings.gateway, keyring=keyring, door=inbox, told=store, log=senders
        )
        slskd = watch_slskd(http, live, database, door=inbox, log=senders)
        upkeep = Upkeep(
            database,
            SqlWorkStore(database, work, outbox=outbox),
            outbox,
            partitions=partitions,
            live=live,
            metrics=telemetry.metrics,
            neighbours=Neighbours(wake=revived, newest=acquisitions.newest, gaps=[*lidarr.gaps, *slskd]),
            audit_key=trail_key,
        )
        upkeep.serve(server, tokens)
        await stack.enter_async_context(open_exposition(telemetry.metrics, settings.listen))
        rematcher = Rematcher(acquisitions.news, store.rematch, rematched=worker.wake)
        backlog = BacklogGauge(store.backlog, metrics.backlog)
        loops = [live.run, worker.run, rematcher.run, backlog.run, dead_letters.run, replays.run, lidarr.run]
        yield Service(server, loops=[*loops, *sources.loops, *upkeep.loops])


def _both(first: Callable[[], Awaitable[None]], second: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    async def both() -> None:
        await first()
        await second()

    return both


def _committed(metrics: WebhookMetrics, worker: Worker, feed: Feed) -> Callable[[int], None]:
    def committed(size: int) -> None:
        metrics.committed(size)
        worker.wake(size)
        feed.wake()

    return committed


def _waking(worker: Worker, feed: Feed) -> Callable[[], None]:
    def wake() -> None:
        worker.wake()
        feed.wake()

    return wake


def _open_database(settings: Settings) -> AbstractAsyncContextManager[Database]:
    return open_service_database(
        "webhooks",
        home=settings.home,
        configured=settings.database,
        package=migrations.__name__,
        head=migrations.HEAD,
    )
