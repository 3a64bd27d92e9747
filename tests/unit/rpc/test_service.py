"""A service's process: it ends in order on a signal, and tells in one line what it lacks."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

PROGRAM = """
import asyncio, gc, sys
from contextlib import asynccontextmanager
from libs.errors import FailedPrecondition
from libs.service import Service, run

class Server:
    async def serve(self, stop):
        print("serving", flush=True)
        await stop.wait()
        print("drained", flush=True)

async def loop():
    try:
        await asyncio.Event().wait()
    finally:
        print("loop ended", flush=True)

@asynccontextmanager
async def open_app(settings):
    {opening}
    yield Service(Server(), loops=[{loop}])
    print("closed", flush=True)

def failing():
    raise FailedPrecondition("the key is wrong: set another one")

async def broken_loop():
    raise FailedPrecondition("the loop is broken")

async def curious_loop():
    raise FailedPrecondition(f"kept apart: {{gc.get_freeze_count() > len(gc.get_objects())}}")

async def defective_loop():
    raise ZeroDivisionError

sys.exit(run(open_app, {settings}))
"""


def program(*, opening: str = "pass", loop: str = "loop", settings: str = "1") -> list[str]:
    text = textwrap.dedent(PROGRAM).format(opening=opening, loop=loop, settings=settings)
    return [sys.executable, "-c", text]


def ended(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(number: signal.Signals) -> None:
    with subprocess.Popen(program(), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"
        process.send_signal(number)
        rest = process.stdout.read()

    assert rest.split("\n") == ["drained", "loop ended", "closed", ""]


def test_a_signal_ends_it_while_it_waits_to_open() -> None:
    waiting = "print('waiting', flush=True); await asyncio.Event().wait()"
    with subprocess.Popen(program(opening=waiting), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=30) == 0
    assert process.returncode == 0


def test_what_is_there_from_the_start_costs_the_collector_no_time() -> None:
    assert ended(program(loop="curious_loop")).stderr == "error: kept apart: True\n"


@pytest.mark.parametrize("where", [{"opening": "failing()"}, {"settings": "failing"}])
def test_an_error_at_the_start_is_one_line(where: dict[str, str]) -> None:
    done = ended(program(**where))

    assert done.stderr == "error: the key is wrong: set another one\n"
    assert done.returncode == 1


def test_a_loop_that_fails_ends_the_process_with_its_reason() -> None:
    done = ended(program(loop="broken_loop"))

    assert done.stderr == "error: the loop is broken\n"
    assert done.returncode == 1


def test_a_defect_keeps_its_traceback() -> None:
    done = ended(program(loop="defective_loop"))

    assert "ZeroDivisionError" in done.stderr
    assert done.returncode == 1
