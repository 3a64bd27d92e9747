"""Progress bars, one per acquisition, for as long as any of them is active."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from deploy.cli.demo.api import ENDED, Acquisition

_COLOURS = {"COMPLETED": "green", "FAILED": "red", "CANCELLED": "red", "WAITING": "yellow"}


class Board:
    """Shows acquisitions as they change; a plain line per change of state where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: dict[str, TaskID] = {}
        self._states: dict[str, str] = {}
        self._progress = Progress(
            TextColumn("{task.description:<44}"),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, acquisition: Acquisition) -> None:
        """Show an acquisition as it is now."""
        name, state = acquisition["name"], acquisition["state"]
        if not self._console.is_terminal and self._states.get(name) != state:
            self._console.print(f"  {_title(acquisition):<44} {_described(acquisition)}", highlight=False)
        self._states[name] = state
        bar = self._bar(acquisition)
        received, total = _bytes(acquisition)
        self._progress.update(bar, completed=received, total=total or None, state=_coloured(acquisition))
        if state in ENDED:
            self._progress.update(bar, total=received, completed=received)
            self._progress.stop_task(bar)

    def _bar(self, acquisition: Acquisition) -> TaskID:
        name = acquisition["name"]
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(_title(acquisition), total=None, state="")
        return self._bars[name]


def _title(acquisition: Acquisition) -> str:
    album = acquisition["album"]
    return f"{album['artist']} – {album['title']}"


def _bytes(acquisition: Acquisition) -> tuple[int, int]:
    progress = acquisition.get("progress") or {}
    if acquisition["state"] in ENDED:
        done = sum(int(file["sizeBytes"]) for file in acquisition["files"])
        return done, done
    return int(progress.get("receivedBytes", 0)), int(progress.get("totalBytes", 0))


def _described(acquisition: Acquisition) -> str:
    attempts = acquisition["attempts"]
    peer = attempts[-1]["peer"] if attempts else ""
    return f"{acquisition['state']}{f' from {peer}' if peer else ''}"


def _coloured(acquisition: Acquisition) -> str:
    colour = _COLOURS.get(acquisition["state"], "cyan")
    return f"[{colour}]{_described(acquisition)}[/]"
