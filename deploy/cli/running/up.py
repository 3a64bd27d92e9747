"""`lockgroove up`: the whole suite, one process per service, or all of it in this one."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.cli.backups.swapping import finish_restore
from deploy.cli.running.processes import SUITE
from deploy.cli.running.readiness import wait_ready
from deploy.cli.running.schedule import backup_schedule
from deploy.cli.running.supervisor import Supervisor
from libs.clock import SystemClock
from libs.errors import AppError, InvalidArgument
from libs.service import run_until_signal

RunSuite = Callable[[asyncio.Event], Awaitable[None]]

_COLOURS = {"config": 36, "webhooks": 35, "acquisition": 32, "gateway": 33, "lockgroove": 34}
_NAME_WIDTH = max(map(len, _COLOURS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the gateway listens."""

    host: str
    port: int

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Address":
        """From `LOCKGROOVE_HOST` and `LOCKGROOVE_PORT`. Raises InvalidArgument."""
        port = environment.get("LOCKGROOVE_PORT") or "3006"
        if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise InvalidArgument.field("LOCKGROOVE_PORT", "must be a port: a number from 1 to 65535")
        return cls(host=environment.get("LOCKGROOVE_HOST") or "127.0.0.1", port=int(port))

    @property
    def url(self) -> str:
        """The gateway's address for people."""
        return f"http://{self.host}:{self.port}"


def write_prefixed(name: str, line: str) -> None:
    """One line of a service on stdout, behind its name, in colour on a terminal."""
    prefix = f"{name:<{_NAME_WIDTH}} |"
    if sys.stdout.isatty():
        prefix = f"\x1b[{_COLOURS[name]}m{prefix}\x1b[0m"
    sys.stdout.write(f"{prefix} {line}\n")
    sys.stdout.flush()


def up(*, single_process: bool) -> int:
    """Run the suite until SIGINT or SIGTERM; the exit status."""
    address = Address.of(os.environ)
    schedule = backup_schedule(os.environ, write_prefixed)
    if before := finish_restore(Path(os.environ.get("LOCKGROOVE_HOME") or "data").absolute()):
        write_prefixed("lockgroove", f"finished a restore that was interrupted; what was there before: {before}")
    run_suite = _one_process() if single_process else _many_processes()

    async def work(stop: asyncio.Event) -> None:
        beside = [asyncio.create_task(_announce(address, time.monotonic()))]
        if schedule:
            beside.append(asyncio.create_task(schedule.run(stop)))
        try:
            await run_suite(stop)
        finally:
            for task in beside:
                task.cancel()

    # The supervisor needs no fast loop, but it is there all the time.
    return run_until_signal(work, run_loop=None if single_process else asyncio.run)


def _one_process() -> RunSuite:
    from deploy.cli.running.single_process import run_all

    return run_all


def _many_processes() -> RunSuite:
    return Supervisor(SUITE, environment=os.environ, write=write_prefixed, clock=SystemClock()).run


async def _announce(address: Address, begun: float) -> None:
    await wait_ready(address.host, address.port)
    seconds = time.monotonic() - begun
    write_prefixed("lockgroove", f"ready at {address.url} after {seconds:.1f} s; API: {address.url}/api/docs")


def main() -> int:
    """Where `lockgroove up` goes on; an AppError is told in one line, for it says what to do."""
    try:
        return up(single_process="--single-process" in sys.argv[1:])
    except AppError as error:
        sys.stderr.write(f"error: {error.message}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
