"""How the suite is, put together: what is asked, and the pages and RPCs that tell of it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from starlette.routing import BaseRoute, Route

from libs.rates.rules import Counts
from libs.rpc.components import Components
from libs.service import Loop
from services.gateway.ground import Ground
from services.gateway.rates.lanes import Lanes
from services.gateway.rates.wiring import Rates
from services.gateway.rpcs.local import LocalChannel
from services.gateway.status import cleanup
from services.gateway.status.cleanup import CleanupServicer
from services.gateway.status.health import HealthPages
from services.gateway.status.metrics import SuiteMetrics
from services.gateway.status.probes import Health, KillSwitch, probe_redis
from services.gateway.status.system import SERVICE, CurrentLimits, SystemServicer


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What is known of the services, the kill switch and the gateway's `own` components."""

    ground: Ground
    health: Health
    switch: KillSwitch
    own: Components

    @property
    def routes(self) -> list[BaseRoute]:
        """The pages, at their addresses and at those of the systems before."""
        ground = self.ground
        pages = HealthPages(
            self.health,
            self.switch,
            self.own,
            clock=ground.clock,
            version=ground.release,
            live=ground.live,
            drain=ground.drain,
        )
        return [
            *(Route(path, pages.live) for path in ("/api/live", "/api/health/live", "/live")),
            *(Route(path, pages.ready) for path in ("/api/ready", "/api/health/ready", "/ready")),
            *(Route(path, pages.health) for path in ("/api/health", "/health")),
            Route("/api/metrics", SuiteMetrics(ground.telemetry, ground.targets).page),
        ]

    @property
    def loops(self) -> Sequence[Loop]:
        """What runs beside the server."""
        return [self.own.run]

    def serve(self, local: LocalChannel, *, lanes: Lanes, rates: Rates) -> None:
        """Adds SystemService and CleanupService to what the gateway answers itself."""
        limits = CurrentLimits(lanes, rates.quotas, rates.counts)
        ground = self.ground
        servicer = SystemServicer(
            self.health, self.switch, self.own, limits, clock=ground.clock, version=ground.release
        )
        local.add(servicer, SERVICE)
        local.add(CleanupServicer(ground.trusted), cleanup.SERVICE)


@asynccontextmanager
async def open_status(ground: Ground, shared: Counts | None) -> AsyncIterator[Status]:
    """Opens the slice; `shared` are the counts that may lie in Redis, if there is to be one."""
    health = Health(
        ground.targets, token=ground.roots.service_token, clock=ground.clock, certificates=ground.certificates
    )
    own = Components(ground.telemetry.metrics, clock=ground.clock)
    own.add("redis", partial(probe_redis, shared))
    try:
        yield Status(
            ground=ground, health=health, switch=KillSwitch(ground.trusted["acquisition"], clock=ground.clock), own=own
        )
    finally:
        await health.aclose()
