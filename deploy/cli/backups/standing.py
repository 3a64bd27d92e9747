"""Whether an installation stands still: nobody else may use databases that are about to be replaced."""

import os
import socket
from contextlib import suppress
from pathlib import Path

from deploy.cli.backups.installation import Installation
from libs.errors import FailedPrecondition

PID_FILE = "lockgroove.pid"

_PORTS = {
    "LOCKGROOVE_CONFIG_LISTEN": "127.0.0.1:50053",
    "LOCKGROOVE_WEBHOOKS_LISTEN": "127.0.0.1:50052",
    "LOCKGROOVE_ACQUISITION_LISTEN": "127.0.0.1:50051",
}


class StillRunning(FailedPrecondition):
    """Services use the databases."""

    reason = "STILL_RUNNING"


async def require_standstill(installation: Installation) -> None:
    """Raises StillRunning, which says who is at work."""
    if pid := running_pid(installation.home):
        raise _running(f"process {pid} runs it ({installation.home / PID_FILE})")
    for name, usual in _PORTS.items():
        if _answers(address := installation.environment.get(name, usual)):
            raise _running(f"a service answers at {address}")
    for where in installation.databases:
        if await where.is_used():
            raise _running(f"a process uses {where.place}")


def running_pid(home: Path) -> int | None:
    """The process that runs the suite of this folder, as it says itself; None where it is gone."""
    with suppress(OSError, ValueError):
        pid = int((home / PID_FILE).read_text("ascii"))
        if pid != os.getpid() and "deploy.cli.running.up" in Path(f"/proc/{pid}/cmdline").read_text():
            return pid
    return None


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with suppress(OSError, ValueError, OverflowError), socket.create_connection((host.strip("[]"), int(port)), 1):
        return True
    return False


def _running(why: str) -> StillRunning:
    return StillRunning(f"the suite is running: {why}; stop it first, nothing was changed")
