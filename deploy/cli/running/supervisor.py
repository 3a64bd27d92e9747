"""Keeps the processes of the suite running: prefixed output, restart with back-off, one clean stop for all."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from deploy.cli.running.processes import Program
from libs.clock import Clock

FIRST_BACKOFF = 0.5  # seconds before the first restart
LONGEST_BACKOFF = 30.0  # seconds between restarts at most
STEADY_AFTER = 60.0  # a child that lived so many seconds starts again without back-off
STOP_GRACE = 20.0  # seconds between SIGTERM and SIGKILL
LINE_LIMIT = 1 << 20  # bytes of one output line

_POLL = 0.02  # seconds
_PR_SET_PDEATHSIG = 1


class Supervisor:
    """Runs programs until told to stop; `write(name, line)` gets every line that they print."""

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        environment: Mapping[str, str],
        write: Callable[[str, str], None],
        clock: Clock,
    ) -> None:
        self._programs = programs
        self._environment = dict(environment)
        self._write = write
        self._clock = clock
        self._children: dict[str, asyncio.subprocess.Process] = {}
        self._restarting: set[str] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """The programs, in their order."""
        return tuple(program.name for program in self._programs)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep every program running until `stop` is set, then end them all: SIGTERM, grace, SIGKILL."""
        async with asyncio.TaskGroup() as group:
            for program in self._programs:
                group.create_task(self._keep(program, stop))

    def pids(self) -> dict[str, int]:
        """The process ids of the children that run now, by name."""
        return {name: child.pid for name, child in self._children.items()}

    async def restart(self, name: str) -> None:
        """Ends a program: SIGTERM, grace, SIGKILL. Returns when it has begun again, which is at once."""
        old = self._children.get(name)
        if old is not None:
            self._restarting.add(name)
            await _end(old)
        while self._children.get(name) in (None, old):  # noqa: ASYNC110 (of many starts there is no one event)
            await asyncio.sleep(_POLL)

    async def _keep(self, program: Program, stop: asyncio.Event) -> None:
        backoff = FIRST_BACKOFF
        while not stop.is_set():
            begun = self._clock.monotonic()
            status = await self._run_once(program, stop)
            if stop.is_set():
                return
            if program.name in self._restarting:
                self._restarting.discard(program.name)
                backoff = FIRST_BACKOFF
                continue
            if self._clock.monotonic() - begun >= STEADY_AFTER:
                backoff = FIRST_BACKOFF
            self._write(program.name, f"ended ({_describe(status)}); starts again in {backoff:g} s")
            await _wait(stop, backoff)
            backoff = min(2 * backoff, LONGEST_BACKOFF)

    async def _run_once(self, program: Program, stop: asyncio.Event) -> int:
        child = await asyncio.create_subprocess_exec(
            *program.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment,
            limit=LINE_LIMIT,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops the children in good order
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        self._children[program.name] = child
        stopper = asyncio.create_task(_end_when(stop, child))
        try:
            await self._relay(program.name, child)
            return await child.wait()
        finally:
            stopper.cancel()
            del self._children[program.name]

    async def _relay(self, name: str, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None
        while True:
            try:
                line = await child.stdout.readline()
            except ValueError:
                self._write(name, f"(a part of a line of over {LINE_LIMIT} bytes was left out)")
                continue
            if not line:
                return
            self._write(name, line.decode(errors="replace").rstrip("\n"))


async def _end_when(stop: asyncio.Event, child: asyncio.subprocess.Process) -> None:
    await stop.wait()
    await _end(child)


async def _end(child: asyncio.subprocess.Process) -> None:
    """Ends a child, and what it leaves behind: that would hold its output, and a stop would wait for it."""
    with suppress(ProcessLookupError):
        child.terminate()
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_GRACE):
            while child.returncode is None:  # noqa: ASYNC110 (its `wait` is for all that hold its output)
                await asyncio.sleep(_POLL)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # the child began a session, and so a group, of its own


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def _end_with_parent() -> None:
    """In the child: get SIGTERM when the supervisor dies, so that a killed supervisor leaves nobody behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _describe(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def inherited_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with `extra` on top."""
    return {**os.environ, **extra}
