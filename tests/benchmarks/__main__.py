"""`make bench`: every benchmark, one after the other, as a table for docs/performance.md."""

import asyncio
import sys

from libs.telemetry.logs import configure_logging
from tests.benchmarks import (
    codec,
    download,
    engine,
    footprint,
    leases,
    memory,
    migrations,
    processing,
    requests,
    rest,
    retention,
    rotation,
    settings,
    watchers,
    webhooks,
)

BENCHMARKS = {
    "codec": codec.measure,
    "footprint": footprint.measure,
    "webhooks": webhooks.measure,
    "processing": processing.measure,
    "memory": memory.measure,
    "retention": retention.measure,
    "migrations": migrations.measure,
    "engine": engine.measure,
    "requests": requests.measure,
    "rest": rest.measure,
    "watchers": watchers.measure,
    "leases": leases.measure,
    "download": download.measure,
    "settings": settings.measure,
    "rotation": rotation.measure,
}


async def _main(names: list[str]) -> None:
    configure_logging(level="error", stream=sys.stderr)
    for name in names or BENCHMARKS:
        print(f"## {name}\n", flush=True)  # noqa: T201 (printing is what a benchmark is for)
        print(await BENCHMARKS[name](), flush=True)  # noqa: T201


asyncio.run(_main(sys.argv[1:]))
