"""The gateway, put together."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from lockgroove.config.v1 import oauth_pb2_grpc as oauth
from lockgroove.config.v1 import sessions_pb2_grpc as sessions
from lockgroove.webhooks.v1 import webhooks_pb2_grpc as webhooks
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from libs.errors import AppError
from libs.rates.fallback import open_counts
from libs.rpc.components import Components
from libs.rpc.sessions import SessionSeal
from libs.service import Service
from services.gateway import problems
from services.gateway.browsers import Browsers
from services.gateway.callers import Callers
from services.gateway.calls import Channels
from services.gateway.cors import Cors
from services.gateway.description import Description
from services.gateway.edge import Edge
from services.gateway.ground import Ground, open_ground
from services.gateway.health import HealthPages
from services.gateway.lanes import Lanes
from services.gateway.limits import Limits
from services.gateway.local import LocalChannel
from services.gateway.metrics import SuiteMetrics
from services.gateway.oauth import CallbackPage
from services.gateway.probes import Health, KillSwitch, probe_redis
from services.gateway.proxies import Proxied
from services.gateway.rates.asked import Asked
from services.gateway.rates.quotas import Quotas
from services.gateway.rates.servicer import SERVICE as RATE_LIMITS
from services.gateway.rates.servicer import RateLimitServicer
from services.gateway.server import HttpServer
from services.gateway.sessions import SessionPages
from services.gateway.settings import Settings
from services.gateway.streams import Streams
from services.gateway.system import SERVICE as SYSTEM
from services.gateway.system import CurrentLimits, SystemServicer
from services.gateway.tickets import Tickets
from services.gateway.transcoded import Front, TranscodedRoute
from services.gateway.webhooks import Intake

LOCAL_PACKAGE = "lockgroove.gateway.v1"  # answered in this process


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[Service[HttpServer]]:
    """Constructs everything in order. Raises AppError for what the environment or the root key deny."""
    async with AsyncExitStack() as stack:
        ground = await stack.enter_async_context(open_ground(settings))
        intake = Intake(webhooks.WebhooksServiceStub(ground.trusted["webhooks"]), ground.clock)
        stack.push_async_callback(intake.aclose)
        health = Health(
            ground.targets, token=ground.roots.service_token, clock=ground.clock, certificates=ground.certificates
        )
        stack.push_async_callback(health.aclose)
        switch = KillSwitch(ground.trusted["acquisition"], clock=ground.clock)
        local = LocalChannel(ground.authenticator)
        quotas = Quotas()
        counting = open_counts(settings.redis_url, ground.clock, timeout=settings.redis_timeout)
        counts = await stack.enter_async_context(counting)
        local.add(RateLimitServicer(counts, quotas, Asked(quotas, ground.live.api_keys)), RATE_LIMITS)
        own = Components(ground.telemetry.metrics, clock=ground.clock)
        own.add("redis", partial(probe_redis, counts if settings.redis_url else None))

        channels: Channels = {**ground.callers, LOCAL_PACKAGE: local}
        transcoded = TranscodedRoute(ground.descriptors, channels, Streams(ground.drain))
        browsers = Browsers(SessionSeal(ground.roots.service_tokens))
        application = build(
            transcoded,
            intake=intake,
            callback=CallbackPage(oauth.OAuthServiceStub(ground.callers["lockgroove.config.v1"])),
            session=_session_pages(ground, browsers),
            health=HealthPages(
                health, switch, own, clock=ground.clock, version=ground.release, live=ground.live, drain=ground.drain
            ),
            metrics=SuiteMetrics(ground.telemetry, ground.targets),
            description=Description(ground.descriptors, transcoded.bindings, version=ground.release),
        )
        limits = Limits(Front(transcoded, application), counts, quotas, ground.telemetry.metrics)
        lanes = Lanes(_callers(limits, ground, transcoded, browsers), transcoded.bindings, ground.telemetry.metrics)
        limiting = CurrentLimits(lanes, quotas, counts)
        system = SystemServicer(health, switch, own, limiting, clock=ground.clock, version=ground.release)
        local.add(system, SYSTEM)
        cors = Cors(lanes)
        proxied = Proxied(cors, base_path=settings.base_path)
        for part in (browsers, cors, proxied, lanes, quotas):
            ground.live.subscribe(part.follow)
        edge = Edge(proxied, ground.telemetry)
        server = HttpServer(edge, host=settings.host, port=settings.port, drain=ground.drain)
        yield Service(server, loops=[ground.live.run, own.run])


def build(
    transcoded: TranscodedRoute,
    *,
    intake: Intake,
    callback: CallbackPage,
    session: SessionPages,
    health: HealthPages,
    metrics: SuiteMetrics,
    description: Description,
) -> Starlette:
    """The application: what no annotation can express, then everything else."""
    routes: list[BaseRoute] = [
        Route("/api/webhooks/{source}", intake, methods=["POST"]),
        Route("/api/webhooks/{source}/{secret}", intake, methods=["POST"]),
        Route("/api/oauth/callback/{service}", callback.answer),
        Route("/api/session", session.answer, methods=["GET", "POST", "DELETE"]),
        Route("/", description.root),
        *(Route(path, health.live) for path in ("/api/live", "/api/health/live", "/live")),
        *(Route(path, health.ready) for path in ("/api/ready", "/api/health/ready", "/ready")),
        *(Route(path, health.health) for path in ("/api/health", "/health")),
        Route("/api/metrics", metrics.page),
        Route("/api/openapi.json", description.document),
        Route("/api/docs", description.docs),
        Route("/api/docs/{name}", description.asset),
        transcoded,
    ]
    handlers = {
        AppError: problems.on_app_error,
        HTTPException: problems.on_http_exception,
        Exception: problems.on_defect,
    }
    application = Starlette(routes=routes, exception_handlers=handlers)
    application.router.redirect_slashes = False
    return application


def _callers(app: ASGIApp, ground: Ground, transcoded: TranscodedRoute, browsers: Browsers) -> Callers:
    stub = sessions.SessionServiceStub(ground.trusted["config"])
    tickets = Tickets(stub, SessionSeal(ground.roots.service_tokens), is_stream=transcoded.is_stream)
    return Callers(app, ground.authenticator, browsers=browsers, tickets=tickets)


def _session_pages(ground: Ground, browsers: Browsers) -> SessionPages:
    return SessionPages(
        sessions.SessionServiceStub(ground.trusted["config"]),
        sessions.SessionServiceStub(ground.callers["lockgroove.config.v1"]),
        authenticator=ground.authenticator,
        browsers=browsers,
        clock=ground.clock,
    )
