"""The gateway, put together."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from lockgroove.webhooks.v1 import webhooks_pb2_grpc as webhooks
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from libs.errors import AppError
from libs.service import Service
from services.gateway.access.wiring import make_access
from services.gateway.ground import open_ground
from services.gateway.http import problems
from services.gateway.http.cors import Cors
from services.gateway.http.edge import Edge
from services.gateway.http.proxies import Proxied
from services.gateway.http.server import HttpServer
from services.gateway.rates.wiring import open_rates
from services.gateway.reference.description import Description
from services.gateway.rpcs.local import PACKAGE, LocalChannel
from services.gateway.rpcs.transcoded import Front, TranscodedRoute
from services.gateway.settings import Settings
from services.gateway.status.wiring import open_status
from services.gateway.watching.streams import Streams
from services.gateway.webhooks import Intake


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[Service[HttpServer]]:
    """Constructs everything in order. Raises AppError for what the environment or the root key deny."""
    async with AsyncExitStack() as stack:
        ground = await stack.enter_async_context(open_ground(settings))
        inbox = webhooks.WebhooksServiceStub(ground.trusted["webhooks"])
        intake = Intake(inbox, ground.clock, ground.telemetry.tracer)
        stack.push_async_callback(intake.aclose)
        access, local = make_access(ground), LocalChannel(ground.authenticator)
        rates = await stack.enter_async_context(open_rates(ground, settings))
        status = await stack.enter_async_context(open_status(ground, rates.counts if settings.redis_url else None))
        transcoded = TranscodedRoute(ground.descriptors, {**ground.callers, PACKAGE: local}, Streams(ground.drain))
        description = Description(ground.descriptors, transcoded.bindings, version=ground.release)

        routes = build(transcoded, intake=intake, pages=[*access.routes, *status.routes, *description.routes])
        limits = rates.limits(Front(transcoded, routes))
        callers = access.layer(limits, is_stream=transcoded.is_stream)
        lanes = rates.lanes(callers, transcoded.bindings)
        cors = Cors(lanes)
        proxied = Proxied(cors, base_path=settings.base_path)
        edge = Edge(proxied, ground.telemetry)

        rates.serve(local)
        status.serve(local, lanes=lanes, rates=rates)
        for part in (access.browsers, cors, proxied, lanes, rates.quotas):
            ground.live.subscribe(part.follow)
        server = HttpServer(edge, host=settings.host, port=settings.port, drain=ground.drain)
        stack.callback(server.close)
        yield Service(server, telemetry=ground.telemetry, loops=[ground.live.run, *status.loops])


def build(transcoded: TranscodedRoute, *, intake: Intake, pages: list[BaseRoute]) -> Starlette:
    """The routes: what no annotation can express, then everything else."""
    handlers = {
        AppError: problems.on_app_error,
        HTTPException: problems.on_http_exception,
        Exception: problems.on_defect,
    }
    deliveries = [
        Route("/api/webhooks/{source}", intake, methods=["POST"]),
        Route("/api/webhooks/{source}/{secret}", intake, methods=["POST"]),
    ]
    application = Starlette(routes=[*deliveries, *pages, transcoded], exception_handlers=handlers)
    application.router.redirect_slashes = False
    return application
