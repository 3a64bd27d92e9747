"""Limits, put together: what is counted of callers, and what may be under way."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp

from libs.rates.fallback import open_counts
from libs.rates.rules import Counts
from libs.transcoding.routes import Binding
from services.gateway.ground import Ground
from services.gateway.rates.asked import Asked
from services.gateway.rates.lanes import Lanes
from services.gateway.rates.limits import Limits
from services.gateway.rates.quotas import Quotas
from services.gateway.rates.servicer import SERVICE, RateLimitServicer
from services.gateway.rpcs.local import LocalChannel
from services.gateway.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What is counted, and by which rules."""

    ground: Ground
    counts: Counts
    quotas: Quotas

    def serve(self, local: LocalChannel) -> None:
        """Adds RateLimitService to what the gateway answers itself."""
        asked = Asked(self.quotas, self.ground.live.api_keys)
        local.add(RateLimitServicer(self.counts, self.quotas, asked), SERVICE)

    def limits(self, app: ASGIApp) -> Limits:
        """The layer that counts requests by caller."""
        return Limits(app, self.counts, self.quotas, self.ground.telemetry.metrics)

    def lanes(self, app: ASGIApp, bindings: Sequence[Binding]) -> Lanes:
        """The layer that bounds what is under way."""
        return Lanes(app, bindings, self.ground.telemetry.metrics)


@asynccontextmanager
async def open_rates(ground: Ground, settings: Settings) -> AsyncIterator[Rates]:
    """Opens the slice; without Redis this process counts alone."""
    opening = open_counts(settings.redis_url, ground.clock, timeout=settings.redis_timeout, telemetry=ground.telemetry)
    async with opening as counts:
        yield Rates(ground=ground, counts=counts, quotas=Quotas())
