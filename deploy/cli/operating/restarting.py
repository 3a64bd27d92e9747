"""Has a suite that runs go on as what is on the disk now."""

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from deploy.cli.exits import Exit
from deploy.cli.running.marks import State, forget, noted, running_pid
from libs.errors import FailedPrecondition, Unavailable

COMMAND = "LOCKGROOVE_RESTART_COMMAND"

_PATIENCE = 360.0  # seconds: the supervisor gives every service a minute, and its end a third of one
_POLL = 0.1  # seconds


class NothingRuns(FailedPrecondition):
    """There is no suite that could go on."""

    reason = "NOTHING_RUNS"
    exit_status = Exit.REFUSED


class RestartFailed(Unavailable):
    """A service did not come up again."""

    reason = "RESTART_FAILED"


def require_way(environment: Mapping[str, str], home: Path) -> None:
    """Raises NothingRuns where neither a command nor a supervisor restarts services."""
    if not environment.get(COMMAND) and running_pid(home) is None:
        raise NothingRuns(
            f"no suite runs from {home}: start it with `lockgroove up`, or set {COMMAND} to what restarts it; "
            "nothing was changed"
        )


async def restart_supervised(home: Path, *, patience: float = _PATIENCE) -> None:
    """Has the supervisor restart all services, one after another. Raises NothingRuns or RestartFailed."""
    if (pid := running_pid(home)) is None:
        raise NothingRuns(f"no suite runs from {home}")
    forget(home)
    os.kill(pid, signal.SIGHUP)
    try:
        async with asyncio.timeout(patience):
            await _restarted(home, pid)
    except TimeoutError as error:
        raise RestartFailed(f"services did not restart within {patience:g} s") from error


async def _restarted(home: Path, pid: int) -> None:
    while (seen := noted(home)) is None or seen.state not in (State.DONE, State.FAILED):
        if running_pid(home) not in (pid, None):
            raise RestartFailed("another supervisor took over")
        if not Path(f"/proc/{pid}").exists():
            raise RestartFailed("the supervisor ended: its output says why")
        await asyncio.sleep(_POLL)
    if seen.state is State.FAILED:
        raise RestartFailed(f"{seen.service} did not get ready: its output says why")
