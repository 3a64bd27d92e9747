"""`lockgroove up`: the whole suite, one process per service, or all of it in this one."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.cli.backups.swapping import finish_restore
from deploy.cli.running.marks import Restart, State, home_of, note, noted, pid_file
from deploy.cli.running.processes import SUITE
from deploy.cli.running.readiness import wait_ready
from deploy.cli.running.rolling import Rolling
from deploy.cli.running.schedule import backup_schedule
from deploy.cli.running.signals import Signals
from deploy.cli.running.supervisor import Supervisor
from libs.clock import SystemClock
from libs.errors import AppError, InvalidArgument
from libs.service import run_until_signal

RunSuite = Callable[[asyncio.Event], Awaitable[None]]

_COLOURS = {"config": 36, "webhooks": 35, "acquisition": 32, "gateway": 33, "lockgroove": 34}
_PLAIN = 37
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
        prefix = f"\x1b[{_COLOURS.get(name, _PLAIN)}m{prefix}\x1b[0m"
    sys.stdout.write(f"{prefix} {line}\n")
    sys.stdout.flush()


def up(*, single_process: bool) -> int:
    """Run the suite until SIGINT or SIGTERM, and restart it at SIGHUP; the exit status."""
    address, home = Address.of(os.environ), home_of(os.environ)
    schedule = backup_schedule(os.environ, write_prefixed)
    if before := finish_restore(home):
        write_prefixed("lockgroove", f"finished a restore that was interrupted; what was there before: {before}")
    asked = asyncio.Event()
    run_suite = _one_process(asked, home) if single_process else _many_processes(asked, home, address)

    async def work(stop: asyncio.Event) -> None:
        Signals(asked, stop, home).take()
        goes_on = single_process and noted(home) == Restart(state=State.RUNNING)
        beside = [asyncio.create_task(_announce(address, home, time.monotonic(), goes_on=goes_on))]
        if schedule:
            beside.append(asyncio.create_task(schedule.run(stop)))
        with pid_file(home):  # which says whom to send signals
            try:
                await run_suite(stop)
            finally:
                for task in beside:
                    task.cancel()

    # The supervisor needs no fast loop, but it is there all the time.
    status = run_until_signal(work, run_loop=None if single_process else asyncio.run)
    if single_process and asked.is_set() and status == 0:
        _begin_again()
    return status


def _begin_again() -> None:
    """The code that is on the disk now takes over this process: whoever watches it sees it go on."""
    os.execv(sys.executable, [sys.executable, "-m", "deploy.cli.running.up", *sys.argv[1:]])  # noqa: S606 (no shell is wanted)


def _one_process(asked: asyncio.Event, home: Path) -> RunSuite:
    from deploy.cli.running.single_process import run_all

    async def run(stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            restarting = group.create_task(_stop_when(asked, stop, home))
            await run_all(stop)
            restarting.cancel()

    return run


async def _stop_when(asked: asyncio.Event, stop: asyncio.Event, home: Path) -> None:
    await asked.wait()
    note(home, Restart(state=State.RUNNING))
    stop.set()


def _many_processes(asked: asyncio.Event, home: Path, address: Address) -> RunSuite:
    supervisor = Supervisor(SUITE, environment=os.environ, write=write_prefixed, clock=SystemClock())
    rolling = Rolling(
        supervisor, environment=os.environ, gateway=(address.host, address.port), home=home, write=write_prefixed
    )

    async def run(stop: asyncio.Event) -> None:
        restarts = asyncio.create_task(rolling.run(asked))
        try:
            await supervisor.run(stop)
        finally:
            restarts.cancel()

    return run


async def _announce(address: Address, home: Path, begun: float, *, goes_on: bool) -> None:
    """Says that the suite is ready; `goes_on` where this start is the restart that somebody waits for."""
    await wait_ready(address.host, address.port)
    seconds = time.monotonic() - begun
    write_prefixed("lockgroove", f"ready at {address.url} after {seconds:.1f} s; API: {address.url}/api/docs")
    if goes_on:
        note(home, Restart(state=State.DONE))


def main() -> int:
    """Where `lockgroove up` goes on; an AppError is told in one line, for it says what to do."""
    try:
        return up(single_process="--single-process" in sys.argv[1:])
    except AppError as error:
        sys.stderr.write(f"error: {error.message}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
