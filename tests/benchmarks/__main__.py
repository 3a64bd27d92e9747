"""`make bench`: every benchmark, one after the other, as a table for docs/performance.md."""

import asyncio
import sys

from tests.benchmarks import footprint, webhooks

BENCHMARKS = {"footprint": footprint.measure, "webhooks": webhooks.measure}


async def _main(names: list[str]) -> None:
    for name in names or BENCHMARKS:
        print(f"## {name}\n", flush=True)  # noqa: T201 (printing is what a benchmark is for)
        print(await BENCHMARKS[name](), flush=True)  # noqa: T201


asyncio.run(_main(sys.argv[1:]))
