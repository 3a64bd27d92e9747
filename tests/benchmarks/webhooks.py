"""How many webhooks a second are acknowledged, each after its commit: this suite beside two ways without sharing."""

import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from libs import ids
from tests.benchmarks import systems
from tests.benchmarks.load import Load, offered
from tests.benchmarks.systems import System
from tests.support.postgres import Postgres, run_postgres

ROUNDS = 5
SECONDS = 4.0  # that each load lasts
CONNECTIONS = (64, 256)

Open = Callable[[Path, str | None], AbstractAsyncContextManager[System]]

SYSTEMS: dict[str, Open] = {
    "this suite": systems.ours,
    "this suite, a call and a commit per event": systems.one_by_one,
    "FastAPI + SQLAlchemy, a commit per event": systems.plain,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One load on one system; `cpu` is milliseconds of processor for an event, by process."""

    load: Load
    cpu: dict[str, float]


async def measure() -> str:
    """The table: medians of interleaved rounds, on SQLite and PostgreSQL."""
    with run_postgres(durable=True) as server:
        parts = [await _table("SQLite", None), await _table("PostgreSQL", server)]
    return "\n".join(parts)


async def _table(database: str, server: Postgres | None) -> str:
    runs: dict[tuple[str, int], list[Run]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, open_system in SYSTEMS.items():
            for connections, run in zip(CONNECTIONS, await _round(open_system, server), strict=True):
                runs[name, connections].append(run)
                print(database, name, connections, run, file=sys.stderr, flush=True)  # noqa: T201 (how it goes)
    heads = "".join(f" {connections}: events/s | p50, ms | p99, ms | ours is |" for connections in CONNECTIONS)
    lines = [f"| {database}, connections |{heads}", "| --- |" + " --- |" * 4 * len(CONNECTIONS)]
    for name in SYSTEMS:
        cells = "".join(_cells(runs, name, connections) for connections in CONNECTIONS)
        lines.append(f"| {name} |{cells}")
    return "\n".join([*lines, ""])


async def _round(open_system: Open, server: Postgres | None) -> list[Run]:
    """One system from its start to its end, under each of the loads."""
    with tempfile.TemporaryDirectory() as home:
        database = None
        if server is not None:
            name = ids.new("bench")
            server.execute(f'CREATE DATABASE "{name}"')
            database = server.url(name)
        async with open_system(Path(home), database) as system:
            return [await _run(system, connections) for connections in CONNECTIONS]


async def _run(system: System, connections: int) -> Run:
    before = system.cpu()
    load = await offered(system.address, connections=connections, seconds=SECONDS)
    after = system.cpu()
    return Run(load=load, cpu={name: 1000 * (after[name] - before[name]) / load.count for name in after})


def _cells(runs: dict[tuple[str, int], list[Run]], name: str, connections: int) -> str:
    loads = [run.load for run in runs[name, connections]]
    ours = [run.load for run in runs[next(iter(SYSTEMS)), connections]]
    ratio = _median([mine.per_second / theirs.per_second for mine, theirs in zip(ours, loads, strict=True)])
    rate, p50, p99 = (_median([getattr(load, what) for load in loads]) for what in ("per_second", "p50", "p99"))
    return f" {rate:.0f} | {p50:.0f} | {p99:.0f} | {ratio:.1f} x |"


def _median(numbers: Sequence[float]) -> float:
    return median(numbers)
