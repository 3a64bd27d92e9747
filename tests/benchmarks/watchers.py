"""What watchers of server-sent events cost our gateway, and how late events reach them: on one call, or on one each."""

import asyncio
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.benchmarks.load import KEY
from tests.benchmarks.systems import System, started
from tests.benchmarks.watch_backend import EVENTS_PER_SECOND, ROOT_KEY
from tests.benchmarks.watch_clients import Watched, watched
from tests.support.ports import free_ports
from tests.support.suite import suite_environment
from tests.support.waiting import eventually

ROUNDS = 3
SECONDS = 10.0  # that are counted
WAYS = {"one call for all": False, "a call for each watcher": True}
AUDIENCES = (  # services admit 1,000 streams at once
    (100, "one call for all"),
    (100, "a call for each watcher"),
    (1000, "one call for all"),
    (900, "a call for each watcher"),
)

_WARM_UP = 20  # watchers that come and go before memory is looked at
_LOOK = 0.2  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One audience: what it saw, kilobytes of memory of the gateway for each, and its share of a processor."""

    seen: Watched
    kilobytes: float
    processor: float


async def measure() -> str:
    """The table: medians of interleaved rounds, each with a gateway of its own before the same kind of service."""
    runs: dict[tuple[int, str], list[_Run]] = {}
    for _ in range(ROUNDS):
        for count, way in AUDIENCES:
            run = await _run(count, alone=WAYS[way])
            runs.setdefault((count, way), []).append(run)
            print(count, way, run, file=sys.stderr, flush=True)  # noqa: T201 (how it goes)
    lines = [
        f"| {EVENTS_PER_SECOND} events/s of 1 KB to | events/s received | p50, ms | p99, ms | missed or twice "
        "| memory each, KB | processor, % |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_row(count, way, found) for (count, way), found in runs.items()),
    ]
    return "\n".join(lines) + "\n"


async def _run(count: int, *, alone: bool) -> _Run:
    with tempfile.TemporaryDirectory() as folder:
        async with _gateway(Path(folder)) as system:
            await watched(system.address, watchers=_WARM_UP, seconds=1, alone=alone)
            process = system.processes["gateway"]
            before, spent, begun = process.memory_info().rss, system.cpu()["gateway"], asyncio.get_running_loop().time()
            watching = asyncio.create_task(watched(system.address, watchers=count, seconds=SECONDS, alone=alone))
            peak = await _peak(process, watching)
            elapsed = asyncio.get_running_loop().time() - begun
            used = (system.cpu()["gateway"] - spent) / elapsed
            return _Run(seen=await watching, kilobytes=(peak - before) / count / 1024, processor=100 * used)


async def _peak(process: psutil.Process, watching: "asyncio.Task[Watched]") -> int:
    """The most memory that it had meanwhile, in bytes."""
    peak = 0
    while not watching.done():
        peak = max(peak, process.memory_info().rss)
        await asyncio.wait([watching], timeout=_LOOK)
    return peak


@asynccontextmanager
async def _gateway(home: Path) -> AsyncIterator[System]:
    acquisition, config = (f"127.0.0.1:{port}" for port in free_ports(2))
    listens = {"ACQUISITION": acquisition, "WEBHOOKS": acquisition, "CONFIG": config}
    extra = {f"LOCKGROOVE_{name}_LISTEN": listen for name, listen in listens.items()}
    environment = suite_environment(home, {**extra, "LOCKGROOVE_SECRET_KEY": ROOT_KEY})
    command = ("-m", "tests.benchmarks.watch_backend", acquisition, config)
    async with (
        started(command, environment, home / "backend.log"),
        started(("-m", "services.gateway"), environment, home / "gateway.log") as process,
    ):
        address = f"127.0.0.1:{environment['LOCKGROOVE_PORT']}"
        await _answers(address)
        yield System(address=address, processes={"gateway": process})


async def _answers(address: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://{address}", headers={"x-api-key": KEY}, trust_env=False) as client:

        async def answers() -> bool:
            with suppress(httpx.HTTPError):
                return (await client.get("/api/v1/acquisitions/acq-1")).status_code == 200
            return False

        await eventually(answers, within=60)


def _row(count: int, way: str, runs: list[_Run]) -> str:
    rate, p50, p99 = (
        statistics.median(getattr(run.seen, what) for run in runs) for what in ("per_second", "p50", "p99")
    )
    kilobytes, processor = (
        statistics.median(getattr(run, what) for run in runs) for what in ("kilobytes", "processor")
    )
    wrong = sum(run.seen.wrong for run in runs)
    cells = f"{rate:.0f} | {p50:.1f} | {p99:.1f} | {wrong} | {kilobytes:.1f} | {processor:.0f}"
    return f"| {count} watchers, {way} | {cells} |"
