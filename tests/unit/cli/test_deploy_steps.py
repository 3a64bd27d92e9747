"""Steps of a deployment: where one fails, what was begun is put back, the last one first; nobody else is at it."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from deploy.cli.exits import Exit
from deploy.cli.operating.deploying import AnotherDeploys, Deployment, NoTestKey, Wanted, alone
from deploy.cli.operating.restarting import NothingRuns
from deploy.cli.operating.steps import Mark, Outcome, Progress, Step, run_steps
from libs.errors import FailedPrecondition

_TELLER = """
import sys
from deploy.cli.operating.reporting import Report
from deploy.cli.operating.steps import Mark, Outcome, Progress
report = Report(as_json=sys.argv[1] == "1")
report.tell(Progress(step="restart", mark=Mark.DONE))
report.end(Outcome.DONE, dry_run=False)
"""
NAMES = ("backup", "migrate", "restart", "smoke")
UNDONE = ("migrate", "restart")  # those that have something to put back


class Ledger:
    """Steps that write down what was done with them."""

    def __init__(self, *, failing: str = "", stuck: str = "") -> None:
        self.lines: list[str] = []
        self.told: list[Progress] = []
        self._failing = failing
        self._stuck = stuck

    def steps(self) -> list[Step]:
        return [
            Step(name=name, plan=name, do=self._act(name), undo=self._act(f"-{name}") if name in UNDONE else None)
            for name in NAMES
        ]

    def _act(self, name: str) -> Callable[[], Awaitable[str]]:
        async def act() -> str:
            self.lines.append(name)
            if name == self._failing:
                raise FailedPrecondition("it does not want to")
            if name == self._stuck:
                raise LookupError("canary")
            return name

        return act


async def test_steps_are_done_in_their_order() -> None:
    ledger = Ledger()

    assert await run_steps(ledger.steps(), ledger.told.append) is Outcome.DONE
    assert ledger.lines == list(NAMES)


@pytest.mark.parametrize(
    ("failing", "put_back"),
    [
        ("backup", []),
        ("migrate", ["-migrate"]),
        ("restart", ["-restart", "-migrate"]),
        ("smoke", ["-restart", "-migrate"]),
    ],
)
async def test_a_step_that_fails_puts_back_what_was_begun(failing: str, put_back: list[str]) -> None:
    ledger = Ledger(failing=failing)

    assert await run_steps(ledger.steps(), ledger.told.append) is Outcome.ROLLED_BACK
    assert ledger.lines == [*NAMES[: NAMES.index(failing) + 1], *put_back]
    assert "it does not want to" in [each.detail for each in ledger.told if each.mark is Mark.FAILED]


async def test_what_cannot_be_put_back_stops_there_and_tells_no_inner_text() -> None:
    ledger = Ledger(failing="smoke", stuck="-restart")

    assert await run_steps(ledger.steps(), ledger.told.append) is Outcome.HALFWAY
    assert ledger.lines[-1] == "-restart"
    assert ledger.told[-1].mark is Mark.NOT_UNDONE
    assert "canary" not in str(ledger.told)


async def test_without_a_way_back_it_stays_as_it_is() -> None:
    early, late = Ledger(failing="backup"), Ledger(failing="smoke")

    assert await run_steps(early.steps(), early.told.append, roll_back=False) is Outcome.ROLLED_BACK
    assert await run_steps(late.steps(), late.told.append, roll_back=False) is Outcome.HALFWAY
    assert late.lines == list(NAMES)


async def test_ctrl_c_in_a_step_puts_back_too() -> None:
    ledger = Ledger()

    async def forever() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()
        raise AssertionError

    steps = [*ledger.steps()[:3], Step(name="health", plan="", do=forever)]

    assert await run_steps(steps, ledger.told.append) is Outcome.ROLLED_BACK
    assert ledger.lines[3:] == ["-restart", "-migrate"]
    assert [each.detail for each in ledger.told if each.mark is Mark.FAILED] == ["interrupted"]


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(AnotherDeploys) as refused, alone(tmp_path):
        raise AssertionError

    assert refused.value.exit_status is Exit.REFUSED
    with alone(tmp_path):
        pass  # the first one is over


def test_what_is_skipped_is_no_step(tmp_path: Path) -> None:
    home = {"LOCKGROOVE_HOME": str(tmp_path), "LOCKGROOVE_PORT": "1"}

    full = [step.name for step in Deployment(home, Wanted()).steps]
    short = [step.name for step in Deployment(home, Wanted(tests=False, backup=False)).steps]

    assert full == ["validate", "backup", "migrate", "restart", "health", "smoke", "record"]
    assert set(full) - set(short) == {"backup", "smoke"}


def test_where_nothing_runs_nothing_begins(tmp_path: Path) -> None:
    home = {"LOCKGROOVE_HOME": str(tmp_path), "LOCKGROOVE_PORT": "1"}

    with pytest.raises(NothingRuns) as refused:
        Deployment(home, Wanted()).require_way()

    assert refused.value.exit_status is Exit.REFUSED
    restarted = {**home, "LOCKGROOVE_RESTART_COMMAND": "true"}
    Deployment({**restarted, "LOCKGROOVE_API_KEY": "key"}, Wanted()).require_way()
    Deployment(restarted, Wanted(tests=False)).require_way()
    with pytest.raises(NoTestKey):
        Deployment(restarted, Wanted()).require_way()


@pytest.mark.parametrize("as_json", [True, False])
def test_a_deployment_goes_on_when_nobody_reads_any_more(as_json: bool) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", _TELLER, str(int(as_json))]
    with os.fdopen(writer, "w") as nobody:
        told = subprocess.run(command, stdout=nobody, check=False, timeout=30)

    assert told.returncode == 0
