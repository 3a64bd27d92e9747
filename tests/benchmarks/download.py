"""200 MB from one peer on loopback: our session against a plain script on the same library, in turn within one run.

Server, seeder and downloader are processes of their own: `python -m tests.benchmarks.download world|ours|plain ...`.
"""

import asyncio
import json
import logging
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from aioslsk.transfer.state import TransferState

from deploy.demo.soulseek.client import open_client
from deploy.demo.soulseek.world import SoulseekWorld
from libs.clock import SystemClock
from libs.telemetry.metrics import Metrics
from services.acquisition.soulseek.account import Account
from services.acquisition.soulseek.metrics import SoulseekMetrics
from services.acquisition.soulseek.search_gate import SearchGate
from services.acquisition.soulseek.search_log import MemorySearchLog
from services.acquisition.soulseek.session import open_session

SIZE = 200 * 1000 * 1000
ROUNDS = 15
HOST = "127.0.0.1"
NAME = "benchmark.bin"
WAIT = timedelta(minutes=5)


async def measure() -> str:
    """Rounds of both, as a table."""
    rounds: dict[str, list[dict[str, float]]] = {"ours": [], "plain": []}
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        world = await stack.enter_async_context(_process("world", folder))
        port = (await _answer(world)).strip().decode()
        downloaders = {kind: await stack.enter_async_context(_process(kind, port, folder)) for kind in rounds}
        for _ in range(ROUNDS):
            for kind, downloader in downloaders.items():
                rounds[kind].append(await _one(downloader))
    ours, plain = (statistics.median(one["seconds"] for one in rounds[kind]) for kind in rounds)
    lines = [
        f"200 MB on loopback, medians of {ROUNDS} rounds in turn",
        "",
        "| downloader | MB/s | memory at most, MB | ours is (target) |",
        "| --- | --- | --- | --- |",
        _line("our session", rounds["ours"], "1.0 x"),
        _line("a plain script on aioslsk", rounds["plain"], f"{plain / ours:.2f} x (at least 0.9)"),
        "",
    ]
    return "\n".join(lines)


def _line(name: str, rounds: list[dict[str, float]], ratio: str) -> str:
    speed = SIZE / 1e6 / statistics.median(one["seconds"] for one in rounds)
    memory = max(one["kilobytes"] for one in rounds) / 1000
    return f"| {name} | {speed:.0f} | {memory:.0f} | {ratio} |"


@asynccontextmanager
async def _process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __spec__.name, *arguments, stdin=pipe, stdout=pipe
    )
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


async def _one(downloader: asyncio.subprocess.Process) -> dict[str, float]:
    assert downloader.stdin is not None
    downloader.stdin.write(b"again\n")
    measured: dict[str, float] = json.loads(await _answer(downloader))
    return measured


async def _answer(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    return await process.stdout.readline()


async def serve_world(folder: str) -> None:
    """A server and a seeder, until the process is ended; prints the port."""
    shared = Path(folder, "shared")
    shared.mkdir()
    (shared / NAME).write_bytes(os.urandom(SIZE))
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(SoulseekWorld(Path(folder, "peers"), []))
        await stack.enter_async_context(world.client("seeder", "seeder", download=Path(folder), shared=[shared]))
        _say(world.port)
        await asyncio.Event().wait()


async def download_ours(port: str, folder: str) -> None:
    """Downloads through our session, one for each line of stdin."""
    clock = SystemClock()
    account = Account(
        server_host=HOST,
        server_port=int(port),
        username="ours",
        password="ours",
        listen_host=HOST,
        listen_port=0,
    )
    gate, metrics = SearchGate(MemorySearchLog(), clock=clock), SoulseekMetrics(Metrics(), clock)
    async with open_session(account, folder=Path(folder), gate=gate, metrics=metrics, clock=clock) as session:
        (offer,) = await session.search("benchmark", timedelta(seconds=2))
        target = Path(folder, "ours", NAME)
        file = offer.files[0]
        await _timed(
            lambda: session.download(offer.peer, file, target, idle_timeout=WAIT, queue_timeout=WAIT), lambda: target
        )


async def download_plain(port: str, folder: str) -> None:
    """Downloads as a script does it, one for each line of stdin."""
    async with open_client((HOST, int(port)), "plain", "plain", download=Path(folder, "plain")) as client:
        request = await client.searches.search("benchmark")
        while not request.results:
            await asyncio.sleep(0.01)
        path = request.results[0].shared_items[0].filename
        local = [Path()]

        async def download() -> None:
            transfer = await client.transfers.download("seeder", path)
            while transfer.state.VALUE is not TransferState.COMPLETE:
                await asyncio.sleep(0.01)
            assert transfer.local_path is not None
            local[0] = Path(transfer.local_path)
            await client.transfers.remove(transfer)

        await _timed(download, lambda: local[0])


async def _timed(download: Callable[[], Coroutine[Any, Any, object]], target: Callable[[], Path]) -> None:
    while await asyncio.to_thread(sys.stdin.readline):
        begun = time.monotonic()
        await download()
        seconds = time.monotonic() - begun
        assert target().stat().st_size == SIZE
        target().unlink()
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        _say(json.dumps({"seconds": seconds, "kilobytes": kilobytes}))


def _say(what: object) -> None:
    print(what, flush=True)  # noqa: T201 (printing is what a benchmark is for)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # the library tells of every connection that it made twice
    runs: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
        "world": serve_world,
        "ours": download_ours,
        "plain": download_plain,
    }
    asyncio.run(runs[sys.argv[1]](*sys.argv[2:]))
