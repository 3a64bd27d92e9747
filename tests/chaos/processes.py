"""Processes that come back whenever they die, as a supervisor brings them back, and can be killed at any moment."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from signal import SIGQUIT

from tests.support.postgres import Postgres
from tests.support.waiting import eventually


class Revived:
    """`python -m MODULE`, over and over."""

    def __init__(self, module: str, environment: Mapping[str, str], log: Path) -> None:
        self._module = module
        self._environment = environment
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Start it whenever it has ended; cancelled, kill it for good."""
        with self._log.open("ab") as output:
            while True:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", self._module),
                    env=dict(self._environment),
                    stdout=output,
                    stderr=output,
                )
                try:
                    await self._process.wait()
                finally:
                    with suppress(ProcessLookupError):
                        self._process.kill()
                    await self._process.wait()

    async def kill(self) -> None:
        """SIGKILL, as soon as it is there."""

        async def running() -> asyncio.subprocess.Process | None:
            process = self._process
            return process if process is not None and process.returncode is None else None

        (await eventually(running)).kill()


@asynccontextmanager
async def revived(module: str, environment: Mapping[str, str], log: Path) -> AsyncIterator[Revived]:
    """A service that comes back until the exit."""
    service = Revived(module, environment, log)
    running = asyncio.create_task(service.run())
    try:
        yield service
    finally:
        running.cancel()
        await asyncio.wait([running])


class KilledServer:
    """PostgreSQL, to be stopped at once: every connection breaks, and what was not committed never was."""

    def __init__(self, server: Postgres, outage: float) -> None:
        self._server = server
        self._outage = outage

    async def kill(self) -> None:
        """SIGQUIT to the server, and its recovery after an outage. The start blocks: it belongs to the main thread."""
        self._server.stop(SIGQUIT)
        await asyncio.sleep(self._outage)  # how long the outage lasts, not a wait for anything
        self._server.start()
