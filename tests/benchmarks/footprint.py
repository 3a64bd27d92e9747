"""What the suite costs when it does nothing: seconds until it is ready, at first and again, and memory, both ways."""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from tests.support.suite import Suite, running_suite, suite_environment

_ROUNDS = 3
_IDLE = 5.0  # seconds between ready and the look at the memory
_MODES = {"one process each": (), "--single-process": ("--single-process",)}
_READY_TARGET = 5.0  # seconds
_AGAIN_TARGET = 3.0  # seconds
_MEMORY_TARGETS = {"one process each": 400, "--single-process": 180}  # MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Two starts: seconds to ready, megabytes of resident and of proportional memory, all processes together."""

    ready: float
    again: float
    resident: float
    proportional: float


async def measure() -> str:
    """The table: medians of several starts on SQLite."""
    rows = [
        "| run | first start, s (target) | next start, s (target) | resident, MB (target) | proportional, MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for mode, arguments in _MODES.items():
        rounds = [await _one(arguments) for _ in range(_ROUNDS)]
        ready = median(round_.ready for round_ in rounds)
        again = median(round_.again for round_ in rounds)
        resident = median(round_.resident for round_ in rounds)
        proportional = median(round_.proportional for round_ in rounds)
        memory = f"{resident:.0f} (< {_MEMORY_TARGETS[mode]}) | {proportional:.0f}"
        starts = f"{ready:.1f} (< {_READY_TARGET:g}) | {again:.1f} (< {_AGAIN_TARGET:g})"
        rows.append(f"| {mode} | {starts} | {memory} |")
    return "\n".join(rows) + "\n"


async def _one(arguments: tuple[str, ...]) -> Footprint:
    with tempfile.TemporaryDirectory() as home:
        environment = suite_environment(Path(home), {})
        begun = time.monotonic()
        async with running_suite(environment, *arguments, first_start=True) as suite:
            ready = time.monotonic() - begun
            await asyncio.sleep(_IDLE)
            resident, proportional = _weigh(suite)
        begun = time.monotonic()
        async with running_suite(environment, *arguments):
            again = time.monotonic() - begun
    return Footprint(ready=ready, again=again, resident=resident, proportional=proportional)


def _weigh(suite: Suite) -> tuple[float, float]:
    root = psutil.Process(suite.process.pid)
    weights = [process.memory_full_info() for process in [root, *root.children(recursive=True)]]
    return sum(weight.rss for weight in weights) / 1e6, sum(weight.pss for weight in weights) / 1e6
