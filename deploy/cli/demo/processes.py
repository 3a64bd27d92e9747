"""The demo's two neighbours: its world and the suite, each in processes of its own."""

import asyncio
import json
import os
import random
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from deploy.cli.running.processes import SUITE
from deploy.cli.running.readiness import wait_ready
from deploy.cli.running.supervisor import Supervisor, inherited_environment
from libs.clock import SystemClock
from libs.errors import Unavailable

_START_LIMIT = 60.0  # seconds
_METRICS_OFFSET = 1000
_PREFERRED = {"config": 50053, "webhooks": 50052, "acquisition": 50051}
_GATEWAY = 3006
_PORTS = range(10_000, 20_000)


class DidNotStart(Unavailable):
    """A part of the demo did not come up; its log says why."""

    reason = "DEMO_DID_NOT_START"


@asynccontextmanager
async def open_world_process(folder: Path) -> AsyncIterator[dict[str, str]]:
    """The world below `folder`; yields the environment for a suite that lives in it."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "world.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "deploy.demo.world",
            str(folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_START_LIMIT):
            line = await process.stdout.readline()
        if not line:
            raise DidNotStart(f"the demo's world did not start; {log} says why")
        yield dict(json.loads(line))
    finally:
        process.stdin.close()
        await _end(process)


@asynccontextmanager
async def open_suite_processes(environment: Mapping[str, str], log: Path) -> AsyncIterator[str]:
    """The suite with this environment, its output in `log`; yields the gateway's address once everything is ready."""
    stop = asyncio.Event()
    with log.open("w") as lines:

        def write(name: str, line: str) -> None:
            lines.write(f"{name} | {line}\n")
            lines.flush()

        supervisor = Supervisor(SUITE, environment=inherited_environment(environment), write=write, clock=SystemClock())
        running = asyncio.create_task(supervisor.run(stop))
        try:
            yield await _ready(environment, log)
        finally:
            stop.set()
            await running


def suite_addresses() -> dict[str, str]:
    """The suite's own ports where they are free, else others."""
    listens = {name: _port(preferred, with_metrics=True) for name, preferred in _PREFERRED.items()}
    return {
        "LOCKGROOVE_HOST": "127.0.0.1",
        "LOCKGROOVE_PORT": str(_port(_GATEWAY, with_metrics=False)),
        **{f"LOCKGROOVE_{name.upper()}_LISTEN": f"127.0.0.1:{port}" for name, port in listens.items()},
    }


async def _ready(environment: Mapping[str, str], log: Path) -> str:
    host, port = environment["LOCKGROOVE_HOST"], int(environment["LOCKGROOVE_PORT"])
    try:
        async with asyncio.timeout(_START_LIMIT):
            await wait_ready(host, port)
    except TimeoutError:
        raise DidNotStart(f"the suite did not get ready within {_START_LIMIT:g} s; {log} says why") from None
    return f"http://{host}:{port}"


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _port(preferred: int, *, with_metrics: bool) -> int:
    for port in (preferred, *random.sample(_PORTS, len(_PORTS))):
        if _is_free(port) and (not with_metrics or _is_free(port + _METRICS_OFFSET)):
            return port
    raise DidNotStart("no port is free on loopback")


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def without_settings(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Settings of a real suite in this environment, each emptied: the demo must never reach what they name."""
    foreign = ("LIDARR_", "SOULSEEK_", "SLSKD_", "LOCKGROOVE_", "DATABASE_URL", "REDIS_URL", "MUSIC_PATH", "DOWNLOAD_")
    return {name: "" for name in environment if name.startswith(foreign)}
