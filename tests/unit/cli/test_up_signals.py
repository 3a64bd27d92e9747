"""What signals mean to `lockgroove up`, whose terminal may go away."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.cli.running import up
from deploy.cli.running.marks import Restart, State, forget, noted
from deploy.cli.running.signals import Signals


class _Terminal:
    """One that may go away."""

    there = True


class _Told:
    """What signals have set."""

    def __init__(self, home: Path, terminal: _Terminal) -> None:
        self.home = home
        self.terminal = terminal
        self.restart, self.end = asyncio.Event(), asyncio.Event()
        self.signals = Signals(self.restart, self.end, home, has_terminal=lambda: terminal.there)

    @property
    def events(self) -> tuple[bool, bool]:
        """Whether a restart is asked for, and the end."""
        return self.restart.is_set(), self.end.is_set()


@pytest.fixture
def told(tmp_path: Path) -> _Told:
    return _Told(tmp_path, _Terminal())


@pytest.fixture
def nohup() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_hangup_restarts_while_the_terminal_is_there(told: _Told) -> None:
    told.signals.hung_up()

    assert told.events == (True, False)


def test_a_terminal_that_goes_away_ends_the_suite(told: _Told) -> None:
    told.terminal.there = False
    told.signals.hung_up()

    assert told.events == (False, True)


def test_a_command_that_asks_gets_its_restart_also_after_the_terminal_has_gone(told: _Told) -> None:
    told.terminal.there = False
    forget(told.home)
    told.signals.hung_up()

    assert told.events == (True, False)


@pytest.mark.usefixtures("nohup")
def test_under_nohup_the_suite_outlives_its_terminal_and_restarts_when_asked(tmp_path: Path) -> None:
    told = _Told(tmp_path, _Terminal())
    told.terminal.there = False

    told.signals.hung_up()
    first = told.events
    told.signals.hung_up()

    assert (first, told.events) == ((False, False), (True, False))


def test_the_end_goes_before_a_restart_that_is_under_way(told: _Told) -> None:
    told.signals.hung_up()
    told.signals.ended()
    told.signals.hung_up()

    assert told.events == (False, True)


@pytest.mark.parametrize(
    ("sent", "begins_again"), [((signal.SIGHUP,), True), ((signal.SIGHUP, signal.SIGTERM), False)], ids=["hup", "term"]
)
def test_in_one_process_a_hangup_begins_again_unless_somebody_ends_it(
    sent: tuple[signal.Signals, ...], begins_again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run_all(stop: asyncio.Event) -> None:
        for number in sent:
            os.kill(os.getpid(), number)
        await stop.wait()

    begun: list[bool] = []
    monkeypatch.setattr("deploy.cli.running.single_process.run_all", run_all)
    monkeypatch.setattr(up, "_begin_again", lambda: begun.append(True))
    monkeypatch.setenv("LOCKGROOVE_HOME", str(tmp_path))

    assert up.up(single_process=True) == 0
    assert bool(begun) is begins_again
    assert noted(tmp_path) == Restart(state=State.RUNNING)
    assert not (tmp_path / "lockgroove.pid").exists()
