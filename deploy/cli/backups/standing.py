"""Whether an installation stands still: nobody else may use databases that are about to be replaced."""

import os
import socket
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from deploy.cli.backups.installation import Installation
from libs.backup.copies import sqlite_file
from libs.backup.postgresql import connected
from libs.errors import FailedPrecondition

PID_FILE = "lockgroove.pid"

_SESSIONS = """
    SELECT DISTINCT application_name FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = ANY($1::text[]) AND pid <> pg_backend_pid()
"""
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
    for store in installation.stores:
        if (file := sqlite_file(store.url)) and _is_used(file):
            raise _running(f"a process uses {file}")
    if installation.dialect == "postgresql":
        await _require_no_session(installation)


def running_pid(home: Path) -> int | None:
    """The process that runs the suite of this folder, as it says itself; None where it is gone."""
    with suppress(OSError, ValueError):
        pid = int((home / PID_FILE).read_text("ascii"))
        if pid != os.getpid() and "deploy.cli.running.up" in Path(f"/proc/{pid}/cmdline").read_text():
            return pid
    return None


async def _require_no_session(installation: Installation) -> None:
    store = installation.stores[0]
    names = [f"lockgroove.{each.schema}" for each in installation.stores]
    async with connected(store.url, "public") as connection:
        if found := [row[0] for row in await connection.fetch(_SESSIONS, names)]:
            raise _running(f"sessions of {', '.join(sorted(found))} are open in the database")


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with suppress(OSError, ValueError, OverflowError), socket.create_connection((host.strip("[]"), int(port)), 1):
        return True
    return False


def _is_used(file: Path) -> bool:
    """Whether another process has it open: a lock of the whole file says so. What is no database is not in use."""
    if not file.exists():
        return False
    try:
        with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    return False


def _running(why: str) -> StillRunning:
    return StillRunning(f"the suite is running: {why}; stop it first, nothing was changed")
