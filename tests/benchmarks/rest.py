"""A unary call over REST: our gateway beside Envoy and a handler written by hand, all before the same service."""

import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import rest_edges
from tests.benchmarks.load import WARM_UP, Load, offered
from tests.benchmarks.systems import System

ROUNDS = 7
SECONDS = 3.0  # that each load lasts
CONNECTIONS = 64
WHATS = {"get": "GET, 1 KB", "create": "POST, 1 KB back"}

_Open = Callable[[Path, str], AbstractAsyncContextManager[System]]

EDGES: dict[str, _Open] = {
    "this gateway": rest_edges.ours,
    "Envoy 1.40, one worker": rest_edges.envoy,
    "FastAPI + pydantic + the stub": rest_edges.fastapi,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One load through one edge; milliseconds of processor that the edge and the service take for a request."""

    load: Load
    edge: float
    service: float


async def measure() -> str:
    """The table: medians of interleaved rounds; every edge runs all the time, one is loaded at a time."""
    runs: dict[tuple[str, str], list[_Run]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        behind = await stack.enter_async_context(rest_edges.backend(home))
        edges = {name: await stack.enter_async_context(opened(home, behind.address)) for name, opened in EDGES.items()}
        for number in range(ROUNDS):
            for what in WHATS:
                for name in _turned(list(edges), number):
                    run = await _run(edges[name], behind, what)
                    runs[name, what].append(run)
                    print(what, name, run, file=sys.stderr, flush=True)  # noqa: T201 (how it goes)
    return "\n".join(_table(runs, what) for what in WHATS)


async def _run(edge: System, behind: System, what: str) -> _Run:
    edge_before, service_before = edge.cpu()["edge"], behind.cpu()["backend"]
    load = await offered(edge.address, connections=CONNECTIONS, seconds=SECONDS, what=what)
    edge_spent, service_spent = edge.cpu()["edge"] - edge_before, behind.cpu()["backend"] - service_before
    share = 1000 * SECONDS / (SECONDS + WARM_UP) / load.count  # what was spent on warming up does not count
    return _Run(load=load, edge=edge_spent * share, service=service_spent * share)


def _turned(names: list[str], number: int) -> list[str]:
    """Another one begins each round."""
    at = number % len(names)
    return names[at:] + names[:at]


def _table(runs: dict[tuple[str, str], list[_Run]], what: str) -> str:
    columns = ("requests/s", "p50, ms", "p99, ms", "CPU, ms", "CPU of the service, ms", "ours is")
    lines = [f"| {WHATS[what]}, {CONNECTIONS} connections | {' | '.join(columns)} |"]
    lines.append("| --- |" + " --- |" * len(columns))
    lines += [_row(name, runs[name, what], runs[next(iter(EDGES)), what]) for name in EDGES]
    return "\n".join([*lines, ""])


def _row(name: str, theirs: Sequence[_Run], ours: Sequence[_Run]) -> str:
    ratios = [mine.load.per_second / other.load.per_second for mine, other in zip(ours, theirs, strict=True)]
    rate, p50, p99 = (
        statistics.median(getattr(run.load, what) for run in theirs) for what in ("per_second", "p50", "p99")
    )
    edge, service = statistics.median(run.edge for run in theirs), statistics.median(run.service for run in theirs)
    cells = (f"{rate:.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{edge:.2f}", f"{service:.2f}")
    return f"| {name} | {' | '.join(cells)} | {statistics.median(ratios):.2f} x |"
