"""What a setting costs to read, and how soon a change through the gateway reaches a service: of a real suite."""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from lockgroove.config.v1 import config_pb2 as pb
from lockgroove.config.v1 import config_pb2_grpc as rpc

import tests.support.grpc_without_fork  # noqa: F401 (before grpc)
from libs.crypto import load_root_keys
from libs.live import LiveSettings
from libs.rpc.client import open_channel
from tests.support.ports import free_ports
from tests.support.postgres import run_postgres
from tests.support.replicas import running_service
from tests.support.suite import ADMIN_KEY, Suite, running_suite, suite_environment

_CHANGES = 200
_READS = 200_000  # of the snapshot
_CALLS = 500  # of the service
_QUIET = {"LOCKGROOVE_LOG_LEVEL": "error"}


async def measure() -> str:
    """Both tables."""
    with tempfile.TemporaryDirectory() as folder:
        environment = suite_environment(Path(folder), _QUIET)
        async with running_suite(environment) as suite, _following(environment) as live:
            reads = await _reads(suite, live)
            rows = [await _row("SQLite, one config service", suite, live)]
    with run_postgres(durable=True) as server, tempfile.TemporaryDirectory() as folder:
        rows += await _replicated(suite_environment(Path(folder), {**_QUIET, "DATABASE_URL": server.url()}))
    head = "| a change by PATCH until a service obeys it | p50, ms | p99, ms | slowest, ms |"
    return "\n".join([reads, head, "| --- | --- | --- | --- |", *rows]) + "\n"


async def _replicated(environment: Mapping[str, str]) -> list[str]:
    """Behind the replica that takes the change, and behind the other, which has to notice it."""
    other = {**environment, "LOCKGROOVE_CONFIG_LISTEN": f"127.0.0.1:{free_ports(1)[0]}"}
    async with AsyncExitStack() as stack:
        suite = await stack.enter_async_context(running_suite(environment))
        await stack.enter_async_context(running_service("config", other))
        here = await stack.enter_async_context(_following(environment))
        there = await stack.enter_async_context(_following(other))
        return [
            await _row("PostgreSQL, the config service that took it", suite, here),
            await _row("PostgreSQL, a second one", suite, there),
        ]


@asynccontextmanager
async def _following(environment: Mapping[str, str]) -> AsyncIterator[LiveSettings]:
    """What every service of the suite holds."""
    token = load_root_keys(Path(environment["LOCKGROOVE_HOME"]), None, None).service_token
    async with open_channel(environment["LOCKGROOVE_CONFIG_LISTEN"], credential=token) as channel:
        live = LiveSettings(channel)
        following = asyncio.create_task(live.run())
        try:
            await live.first()
            yield live
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _row(name: str, suite: Suite, live: LiveSettings) -> str:
    waits = []
    for number in range(_CHANGES):
        waits.append(1000 * await _obeyed(suite, live, f"/music/{number}"))
        await asyncio.sleep(random.uniform(0, 0.25))  # else it would fall in step with those who look
    cuts = statistics.quantiles(waits, n=100)
    return f"| {name} | {cuts[49]:.0f} | {cuts[98]:.0f} | {max(waits):.0f} |"


async def _obeyed(suite: Suite, live: LiveSettings, folder: str) -> float:
    """Seconds from the request until the snapshot holds the value."""
    begun = time.monotonic()

    async def follow() -> None:
        async for snapshot in live.updates():
            if snapshot.settings.lidarr.root_folder == folder:
                return

    follower = asyncio.create_task(follow())
    answer = await suite.client.patch("/api/v1/settings", json={"lidarr": {"rootFolder": folder}})
    answer.raise_for_status()
    await follower
    return time.monotonic() - begun


async def _reads(suite: Suite, live: LiveSettings) -> str:
    async with open_channel(suite.address("config"), credential=ADMIN_KEY) as channel:
        stub = rpc.ConfigServiceStub(channel)
        await stub.GetSettings(pb.GetSettingsRequest())
        begun = time.perf_counter()
        for _ in range(_CALLS):
            (await stub.GetSettings(pb.GetSettingsRequest())).lidarr.url  # noqa: B018 - reading is the point
        asked = (time.perf_counter() - begun) / _CALLS
    begun = time.perf_counter()
    for _ in range(_READS):
        live.current.settings.lidarr.url  # noqa: B018
    held = (time.perf_counter() - begun) / _READS
    head = "| read a setting | µs |\n| --- | --- |"
    return f"{head}\n| from the snapshot | {1e6 * held:.2f} |\n| asking the config service | {1e6 * asked:.0f} |\n"
