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
    """One load through one edge; `cpu` is milliseconds of the edge's processor for a request."""

    load: Load
    cpu: float


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
                    run = await _run(edges[name], what)
                    runs[name, what].append(run)
                    print(what, name, run, file=sys.stderr, flush=True)  # noqa: T201 (how it goes)
    return "\n".join(_table(runs, what) for what in WHATS)


async def _run(edge: System, what: str) -> _Run:
    before = edge.cpu()["edge"]
    load = await offered(edge.address, connections=CONNECTIONS, seconds=SECONDS, what=what)
    spent = edge.cpu()["edge"] - before
    counted = SECONDS / (SECONDS + WARM_UP)  # of what was spent: the load warms up first
    return _Run(load=load, cpu=1000 * spent * counted / load.count)


def _turned(names: list[str], number: int) -> list[str]:
    """Another one begins each round."""
    at = number % len(names)
    return names[at:] + names[:at]


def _table(runs: dict[tuple[str, str], list[_Run]], what: str) -> str:
    lines = [f"| {WHATS[what]}, {CONNECTIONS} connections | requests/s | p50, ms | p99, ms | CPU, ms | ours is |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    lines += [_row(name, runs[name, what], runs[next(iter(EDGES)), what]) for name in EDGES]
    return "\n".join([*lines, ""])


def _row(name: str, theirs: Sequence[_Run], ours: Sequence[_Run]) -> str:
    ratios = [mine.load.per_second / other.load.per_second for mine, other in zip(ours, theirs, strict=True)]
    rate, p50, p99 = (
        statistics.median(getattr(run.load, what) for run in theirs) for what in ("per_second", "p50", "p99")
    )
    cpu = statistics.median(run.cpu for run in theirs)
    return f"| {name} | {rate:.0f} | {p50:.1f} | {p99:.1f} | {cpu:.2f} | {statistics.median(ratios):.2f} x |"
