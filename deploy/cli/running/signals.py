"""What signals mean to `lockgroove up`: SIGTERM and SIGINT end the suite, SIGHUP restarts it, or tells of its terminal.

SIGHUP     the terminal is there, or never was      restart
           it went away, a command asked            restart
           it went away                             end, as ever; under nohup nothing, and from now on restart
"""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from deploy.cli.running.marks import State, noted


class Signals:
    """Sets `asked` for a restart and `stop` for the end, which no restart follows."""

    def __init__(
        self, asked: asyncio.Event, stop: asyncio.Event, home: Path, *, has_terminal: Callable[[], bool] | None = None
    ) -> None:
        self._asked = asked
        self._stop = stop
        self._home = home
        self._has_terminal = has_terminal or _has_terminal
        self._had_terminal = self._has_terminal()
        self._outlives_terminal = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    def take(self) -> None:
        """Listens to them from now on, in the loop that runs."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.hung_up)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ended)

    def ended(self) -> None:
        """SIGTERM or SIGINT, maybe in the midst of a restart."""
        self._asked.clear()
        self._stop.set()

    def hung_up(self) -> None:
        """SIGHUP."""
        if self._had_terminal and not self._has_terminal() and not self._is_asked():
            self._had_terminal = False
            if not self._outlives_terminal:
                self.ended()
        elif not self._stop.is_set():
            self._asked.set()

    def _is_asked(self) -> bool:
        told = noted(self._home)
        return told is not None and told.state is State.ASKED


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
