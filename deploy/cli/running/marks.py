"""What the supervisor leaves in the data folder for commands: which process it is, and how the last restart went."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

PID_FILE = "lockgroove.pid"
RESTART_FILE = "lockgroove.restart.json"

_OURS_ALONE = 0o700


class State(StrEnum):
    """How a restart stands; one that is asked for nobody has begun."""

    ASKED = "ASKED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """A restart of all services; `service` did not come up where it failed."""

    state: State
    service: str = ""


def home_of(environment: Mapping[str, str]) -> Path:
    """The data folder."""
    return Path(environment.get("LOCKGROOVE_HOME") or "data").absolute()


@contextmanager
def pid_file(home: Path) -> Iterator[None]:
    """Says which process supervises, as long as it does; a folder that cannot be written to is for others to tell.

    Where another one does already, which is a mistake, it stays the one that is named.
    """
    file, own = home / PID_FILE, str(os.getpid())
    with suppress(OSError):
        home.mkdir(parents=True, exist_ok=True, mode=_OURS_ALONE)
        if running_pid(home) is None:
            _replace(file, own)
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            if file.read_text("ascii") == own:
                file.unlink()


def running_pid(home: Path) -> int | None:
    """The other process that supervises the suite of this folder, as it says itself; None where it is gone."""
    with suppress(OSError, ValueError):
        pid = int((home / PID_FILE).read_text("ascii"))
        if pid != os.getpid() and "deploy.cli.running.up" in Path(f"/proc/{pid}/cmdline").read_text():
            return pid
    return None


def note(home: Path, restart: Restart) -> None:
    """Says how a restart stands."""
    with suppress(OSError):
        _replace(home / RESTART_FILE, json.dumps({"state": restart.state, "service": restart.service}))


def noted(home: Path) -> Restart | None:
    """How the last restart stands; None where there was none."""
    try:
        told = json.loads((home / RESTART_FILE).read_text())
        return Restart(state=State(told["state"]), service=str(told["service"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget(home: Path) -> None:
    """Forgets the last restart, for another one is asked for."""
    (home / RESTART_FILE).unlink(missing_ok=True)
    note(home, Restart(state=State.ASKED))


def _replace(file: Path, text: str) -> None:
    """Whoever reads meanwhile reads the old or the new."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.write_text(text, "ascii")
    part.replace(file)
