"""The supervisor runs real child processes: restarts, output, one clean stop."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from deploy.cli.running.processes import Program
from deploy.cli.running.supervisor import LINE_LIMIT, Supervisor
from libs.clock import SystemClock
from tests.support.waiting import eventually

_SLEEPER = "import time; print('up', flush=True); time.sleep(60)"


class _Run:
    def __init__(self, supervisor: Supervisor, stop: asyncio.Event, lines: list[tuple[str, str]]) -> None:
        self.supervisor = supervisor
        self.stop = stop
        self.lines = lines

    async def seen(self, text: str, times: int = 1) -> bool:
        async def count() -> bool:
            return sum(text in line for _, line in self.lines) >= times

        return await eventually(count)


@asynccontextmanager
async def _running(**scripts: str) -> AsyncIterator[_Run]:
    programs = [Program(name=name, command=(sys.executable, "-c", script)) for name, script in scripts.items()]
    lines: list[tuple[str, str]] = []
    supervisor = Supervisor(
        programs,
        environment=dict(os.environ),
        write=lambda name, line: lines.append((name, line)),
        clock=SystemClock(),
    )
    stop = asyncio.Event()
    task = asyncio.create_task(supervisor.run(stop))
    try:
        yield _Run(supervisor, stop, lines)
    finally:
        stop.set()
        await task


async def test_every_line_carries_the_name_of_its_program() -> None:
    async with _running(one="print('from one')", two="print('from two')") as run:
        await run.seen("from two")
        await run.seen("from one")

    assert ("one", "from one") in run.lines
    assert ("two", "from two") in run.lines


async def test_a_killed_child_starts_again() -> None:
    async with _running(one=_SLEEPER) as run:
        await run.seen("up")

        os.kill(run.supervisor.pids()["one"], signal.SIGKILL)

        assert await run.seen("up", times=2)
        assert ("one", "ended (SIGKILL); starts again in 0.5 s") in run.lines


async def test_a_child_that_keeps_failing_waits_longer_each_time() -> None:
    async with _running(one="raise SystemExit(3)") as run:
        await run.seen("starts again in 1 s")

    assert [line for _, line in run.lines] == [
        "ended (exit status 3); starts again in 0.5 s",
        "ended (exit status 3); starts again in 1 s",
    ]


async def test_a_stop_ends_every_child() -> None:
    async with _running(one=_SLEEPER, two=_SLEEPER) as run:
        await run.seen("up", times=2)
        pids = list(run.supervisor.pids().values())

    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


async def test_a_stop_ends_what_a_child_has_started_and_left_behind() -> None:
    heir = "import subprocess; print('heir', subprocess.Popen(['sleep', '600']).pid, flush=True)"
    async with _running(one=f"{heir}; {_SLEEPER}", two=f"{heir}") as run:
        await run.seen("heir", times=2)
        pids = [int(line.split()[1]) for _, line in run.lines if line.startswith("heir")]

    async def gone() -> bool:
        return not any(map(_works, pids))

    assert await eventually(gone)


async def test_a_line_without_end_is_cut_and_the_child_goes_on() -> None:
    async with _running(one="print('x' * 3_000_000, flush=True); print('after', flush=True)") as run:
        assert await run.seen("after")

    assert all(len(line) <= LINE_LIMIT for _, line in run.lines)


async def test_a_restart_is_another_process_at_once() -> None:
    async with _running(one=_SLEEPER) as run:
        await run.seen("up")
        before = run.supervisor.pids()["one"]

        await run.supervisor.restart("one")

        assert run.supervisor.pids()["one"] != before
        assert not await _lingers(before)
        assert not [line for _, line in run.lines if "starts again" in line]


async def test_a_stop_in_the_midst_of_a_restart_ends_every_child() -> None:
    async with _running(one=_SLEEPER, two=_SLEEPER) as run:
        await run.seen("up", times=2)
        pids = list(run.supervisor.pids().values())
        restart = asyncio.create_task(run.supervisor.restart("one"))
        await run.seen("up", times=2)
    pids += list(run.supervisor.pids().values())
    restart.cancel()

    assert not [pid for pid in pids if await _lingers(pid)]


async def _lingers(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _works(pid: int) -> bool:
    """Nobody waits for an orphan here, so one that was killed may stay as a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
