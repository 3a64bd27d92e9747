"""What is measured side by side: this suite, the same without sharing, and a plain endpoint, as real processes."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from libs.sql.url import database_url
from tests.benchmarks.load import SECRET
from tests.support.ports import free_ports
from tests.support.suite import suite_environment
from tests.support.waiting import eventually

_SERVICES = ("config", "acquisition", "webhooks", "gateway")
_SHARING = ("webhooks", "gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A running system: where it answers (`host:port`), and its processes by name."""

    address: str
    processes: Mapping[str, psutil.Process]

    def cpu(self) -> dict[str, float]:
        """Seconds of processor that each has used so far."""
        return {name: _used(process) for name, process in self.processes.items()}


@asynccontextmanager
async def ours(home: Path, database: str | None) -> AsyncIterator[System]:
    """The suite, one process per service."""
    async with _suite(home, database, _together()) as system:
        yield system


@asynccontextmanager
async def one_by_one(home: Path, database: str | None) -> AsyncIterator[System]:
    """The suite with one call and one commit per request."""
    alone: dict[str, Sequence[str]] = {name: ("-m", "tests.benchmarks.one_by_one", name) for name in _SHARING}
    async with _suite(home, database, _together() | alone) as system:
        yield system


@asynccontextmanager
async def plain(home: Path, database: str | None) -> AsyncIterator[System]:
    """FastAPI and SQLAlchemy with one commit per request."""
    (port,) = free_ports(1)
    url = database_url(home=home, service="plain", configured=database)
    environment = suite_environment(home, {"PLAIN_DATABASE": url, "LIDARR_WEBHOOK_SECRET": SECRET})
    async with started(("-m", "tests.benchmarks.plain", str(port)), environment, home / "plain.log") as process:
        yield await _ready(System(address=f"127.0.0.1:{port}", processes={"plain": process}))


def _together() -> dict[str, Sequence[str]]:
    return {name: ("-m", f"services.{name}") for name in _SERVICES}


@asynccontextmanager
async def _suite(home: Path, database: str | None, commands: Mapping[str, Sequence[str]]) -> AsyncIterator[System]:
    extra = {"LIDARR_WEBHOOK_SECRET": SECRET} | ({"DATABASE_URL": database} if database else {})
    environment = suite_environment(home, extra)
    async with AsyncExitStack() as stack:
        processes = {
            name: await stack.enter_async_context(started(command, environment, home / f"{name}.log"))
            for name, command in commands.items()
        }
        yield await _ready(System(address=f"127.0.0.1:{environment['LOCKGROOVE_PORT']}", processes=processes))


@asynccontextmanager
async def started(
    arguments: Sequence[str], environment: Mapping[str, str], log: Path, *, program: str = sys.executable
) -> AsyncIterator[psutil.Process]:
    """A process, which ends with the block; Python unless told otherwise."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            program, *arguments, env={**environment, **_PATH}, stdout=output, stderr=output
        )
    try:
        yield psutil.Process(process.pid)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _ready(system: System) -> System:
    async with httpx.AsyncClient(base_url=f"http://{system.address}", trust_env=False) as client:

        async def answers() -> bool:
            with suppress(httpx.HTTPError):
                return (await client.get("/api/ready")).status_code == 200
            return False

        await eventually(answers, within=180)
    return system


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


_PATH = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
