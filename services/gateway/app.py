"""The gateway, put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from importlib.resources import files

from lockgroove.config.v1 import oauth_pb2_grpc as oauth
from lockgroove.webhooks.v1 import webhooks_pb2_grpc as webhooks
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from libs.clock import SystemClock
from libs.crypto import load_root_keys
from libs.errors import AppError
from libs.rpc.client import open_channel
from libs.telemetry import open_telemetry
from libs.transcoding.descriptors import DescriptorSet
from services.gateway import problems
from services.gateway.description import Description
from services.gateway.edge import Edge
from services.gateway.health import Health, HealthPages, KillSwitch
from services.gateway.metrics import SuiteMetrics
from services.gateway.oauth import CallbackPage
from services.gateway.server import HttpServer
from services.gateway.settings import Settings
from services.gateway.streams import Streams
from services.gateway.transcoded import TranscodedRoute
from services.gateway.webhooks import Intake


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[HttpServer]:
    """Constructs everything in order. Raises AppError for what the environment or the root key deny."""
    targets = {"acquisition": settings.acquisition, "webhooks": settings.webhooks, "config": settings.config}
    clock, drain, release = SystemClock(), asyncio.Event(), version("lockgroove")
    async with AsyncExitStack() as stack:
        telemetry = stack.enter_context(
            open_telemetry("gateway", otlp_endpoint=settings.otlp_endpoint, level=settings.log_level)
        )
        roots = load_root_keys(
            settings.home, settings.secret_key, settings.previous_secret_key, mounted=settings.secret_key_file
        )
        descriptors = DescriptorSet((files("lockgroove") / "descriptors.binpb").read_bytes())
        channels = {
            f"lockgroove.{name}.v1": await stack.enter_async_context(open_channel(target, tracer=telemetry.tracer))
            for name, target in targets.items()
        }
        trusted = await stack.enter_async_context(open_channel(targets["webhooks"], credential=roots.service_token))
        intake = Intake(webhooks.WebhooksServiceStub(trusted), clock)
        stack.push_async_callback(intake.aclose)
        health = Health(targets, clock=clock)
        stack.push_async_callback(health.aclose)
        switch = KillSwitch(
            await stack.enter_async_context(open_channel(targets["acquisition"], credential=roots.service_token)),
            clock=clock,
        )

        transcoded = TranscodedRoute(descriptors, channels, Streams(drain))
        application = build(
            transcoded,
            intake=intake,
            callback=CallbackPage(oauth.OAuthServiceStub(channels["lockgroove.config.v1"])),
            health=HealthPages(health, switch, version=release, drain=drain),
            metrics=SuiteMetrics(telemetry, targets),
            description=Description(descriptors, transcoded.bindings, version=release),
        )
        yield HttpServer(Edge(application, telemetry), host=settings.host, port=settings.port, drain=drain)


def build(
    transcoded: TranscodedRoute,
    *,
    intake: Intake,
    callback: CallbackPage,
    health: HealthPages,
    metrics: SuiteMetrics,
    description: Description,
) -> Starlette:
    """The application: what no annotation can express, then everything else."""
    routes: list[BaseRoute] = [
        Route("/api/webhooks/{source}", intake, methods=["POST"]),
        Route("/api/webhooks/{source}/{secret}", intake, methods=["POST"]),
        Route("/api/oauth/callback/{service}", callback.answer),
        Route("/", description.root),
        Route("/api/live", health.live),
        Route("/api/ready", health.ready),
        Route("/api/health", health.health),
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
