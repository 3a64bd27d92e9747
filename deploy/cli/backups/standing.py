"""Whether an installation stands still: nobody else may use databases that are about to be replaced."""

import socket
from contextlib import suppress

from deploy.cli.backups.installation import Installation
from deploy.cli.environment.processes import listening
from deploy.cli.running.marks import PID_FILE, running_pid
from libs.errors import FailedPrecondition


class StillRunning(FailedPrecondition):
    """Services use the databases."""

    reason = "STILL_RUNNING"


async def require_standstill(installation: Installation) -> None:
    """Raises StillRunning, which says who is at work."""
    if pid := running_pid(installation.home):
        raise _running(f"process {pid} runs it ({installation.home / PID_FILE})")
    for address in listening(installation.environment).values():
        if _answers(address):
            raise _running(f"a service answers at {address}")
    for where in installation.databases:
        if await where.is_used():
            raise _running(f"a process uses {where.place}")


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with suppress(OSError, ValueError, OverflowError), socket.create_connection((host.strip("[]"), int(port)), 1):
        return True
    return False


def _running(why: str) -> StillRunning:
    return StillRunning(f"the suite is running: {why}; stop it first, nothing was changed")
