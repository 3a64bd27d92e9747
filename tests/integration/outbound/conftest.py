"""A provider on loopback that fails as told, and a client of it whose clock the test moves."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from deploy.demo.http_faults import Faults
from deploy.demo.loopback_http import serving
from libs.clock import ManualClock
from libs.outbound.answers import MemoryAnswers
from libs.outbound.client import ProviderClient
from libs.outbound.metrics import OutboundMetrics
from libs.outbound.provider import Provider, Question
from libs.outbound.slots import MemoryCallSlots
from libs.telemetry.metrics import Metrics
from tests.support.spans import RecordingTracer

TLS = ssl.create_default_context()  # takes longer to make than a test
PROVIDER = Provider(
    name="shop",
    interval=timedelta(),
    ttl=timedelta(days=30),
    missing_ttl=timedelta(hours=1),
    patience=timedelta(seconds=5),
    timeout=timedelta(seconds=1),
    pause=timedelta(),
    failures_that_open=9,
    largest=1024 * 1024,
)


@dataclass
class Shop:
    """The provider, what it was asked, and what the suite's side of it shares."""

    base: str = ""
    requests: list[Request] = field(default_factory=list)
    faults: Faults = field(default_factory=lambda: Faults(retry_after="60"))
    clock: ManualClock = field(default_factory=lambda: ManualClock(datetime(2026, 1, 1, tzinfo=UTC)))
    metrics: Metrics = field(default_factory=Metrics)
    tracer: RecordingTracer = field(default_factory=RecordingTracer)

    def __post_init__(self) -> None:
        self.slots, self.answers = MemoryCallSlots(self.clock), MemoryAnswers(self.clock)
        self._counters = OutboundMetrics(self.metrics, self.clock)

    @asynccontextmanager
    async def client(self, provider: Provider = PROVIDER) -> AsyncIterator[ProviderClient]:
        """A client as one replica has it."""
        async with httpx.AsyncClient(trust_env=False, verify=TLS) as http:
            yield ProviderClient(
                provider,
                http,
                slots=self.slots,
                answers=self.answers,
                metrics=self._counters,
                tracer=self.tracer,
                clock=self.clock,
            )

    def question(self, path: str = "/thing", **more: Any) -> Question:
        return Question(base=self.base, path=path, **more)

    def count(self, series: str, **labels: str) -> float:
        """The value of a series of ours."""
        return self.metrics.registry.get_sample_value(f"lockgroove_{series}", labels) or 0.0

    async def asked(self) -> bool:
        """Whether anybody has asked."""
        return bool(self.requests)

    async def answer(self, request: Request) -> Response:
        self.requests.append(request)
        return await self.faults.spoiling(self._honestly)(request)

    async def _honestly(self, request: Request) -> Response:
        if request.url.path == "/missing":
            return JSONResponse({"error": "Not Found"}, 404)
        if request.url.path == "/moved":
            return RedirectResponse("/thing?again=1")
        if request.url.path == "/around":
            return RedirectResponse("/around")
        return JSONResponse({"name": "a thing of some length"})


def read(document: Any) -> dict[str, str]:
    return {"name": document["name"]}


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = Shop()
    async with serving(Starlette(routes=[Route("/{path:path}", shop.answer)])) as port:
        shop.base = f"http://127.0.0.1:{port}"
        yield shop


@pytest.fixture
async def client(shop: Shop) -> AsyncIterator[ProviderClient]:
    async with shop.client() as client:
        yield client
