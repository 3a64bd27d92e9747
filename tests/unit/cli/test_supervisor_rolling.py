"""A restart of everything goes on only while the suite gets ready again, and leaves word of how it went."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.cli.running.marks import PID_FILE, Restart, State, noted, pid_file
from deploy.cli.running.processes import Program
from deploy.cli.running.rolling import Rolling
from deploy.cli.running.supervisor import Supervisor
from libs.clock import SystemClock
from tests.support.ports import free_ports
from tests.support.waiting import eventually

_SLEEPER = "import time; time.sleep(60)"
_NAMES = ("one", "two")


@asynccontextmanager
async def _rolling(home: Path, port: int, patience: float) -> AsyncIterator[tuple[Supervisor, Rolling]]:
    programs = [Program(name=name, command=(sys.executable, "-c", _SLEEPER)) for name in _NAMES]
    supervisor = Supervisor(programs, environment=os.environ, write=lambda *_: None, clock=SystemClock())
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop))

    async def all_run() -> bool:
        return len(supervisor.pids()) == len(_NAMES)

    try:
        await eventually(all_run)
        rolling = Rolling(
            supervisor,
            environment={},
            gateway=("127.0.0.1", port),
            home=home,
            write=lambda *_: None,
            patience=patience,
        )
        yield supervisor, rolling
    finally:
        stop.set()
        await running


async def test_every_process_is_another_one_and_the_folder_says_that_it_is_done(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with (
        await asyncio.start_server(_ready, "127.0.0.1", port),
        _rolling(tmp_path, port, 30) as (children, rolling),
    ):
        before = children.pids()

        done = await rolling.run_once()

        assert done == noted(tmp_path) == Restart(state=State.DONE)
        assert not set(before.values()) & set(children.pids().values())


async def test_one_that_does_not_get_ready_keeps_the_others_from_restarting(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with _rolling(tmp_path, port, 0.5) as (children, rolling):
        before = children.pids()

        failed = await rolling.run_once()

        assert failed == noted(tmp_path) == Restart(state=State.FAILED, service="one")
        assert children.pids()["two"] == before["two"]


def test_the_folder_names_the_process_as_long_as_it_runs(tmp_path: Path) -> None:
    file = tmp_path / "home" / PID_FILE
    with pid_file(file.parent):
        assert file.read_text() == str(os.getpid())
    assert not file.exists()

    with pid_file(file.parent):
        file.write_text("1")  # another one took over
    assert file.read_text() == "1"


def test_a_second_process_of_a_folder_leaves_the_first_one_named(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "input(0)", "deploy.cli.running.up"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.read(1)
        (tmp_path / PID_FILE).write_text(str(first.pid))
        with pid_file(tmp_path):
            assert (tmp_path / PID_FILE).read_text() == str(first.pid)
        assert (tmp_path / PID_FILE).read_text() == str(first.pid)
        first.communicate(b"\n")


async def _ready(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    writer.close()
