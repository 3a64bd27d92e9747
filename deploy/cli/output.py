"""What commands print: tables and lines for people, one JSON document for programs."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from libs.errors import Violation

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else, on standard output.")]
Report = Mapping[str, Any]

_PLAIN_WIDTH = 10_000  # columns where there is no terminal: a row of a table stays on its line
_LAYOUT = frozenset("\n\t")


def console(*, stderr: bool = False) -> Console:
    """Where people read: coloured and as wide as a terminal is, plain where there is none."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PLAIN_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)


class Printed:
    """What this process has printed for programs."""

    documents = 0


def print_json(report: Any) -> None:
    """One document on a line of its own; a stream is one such line for each message."""
    Printed.documents += 1
    try:
        sys.stdout.write(json.dumps(report, ensure_ascii=False, default=str) + "\n")
    except UnicodeEncodeError:  # this place takes other characters than ours, or one of them is none
        sys.stdout.write(json.dumps(report, default=str) + "\n")
    sys.stdout.flush()


def print_error(message: str, *, reason: str, violations: Sequence[Violation] = (), as_json: bool = False) -> None:
    """Why a command ends: for people on standard error, for programs as the document, where there is none yet."""
    if as_json and not Printed.documents:
        told = [asdict(violation) for violation in violations]
        print_json({"error": {"reason": reason, "message": message, "violations": told}})
    sys.stderr.write(f"error: {printable(message)}\n")


def print_lines(lines: Iterable[str]) -> None:
    """Lines for people; what is no text, or what a terminal would obey, is shown escaped."""
    out = console()
    for line in lines:
        out.print(printable(line))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for people."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(printable(str(cell)) for cell in row))
    console().print(table)


def printable(text: str) -> str:
    """A text that terminals show and do not obey: strangers choose names of files, peers and events."""
    return "".join(char if char.isprintable() or char in _LAYOUT else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


@contextmanager
def progress(title: str, total: float | None = None) -> Iterator["Bar"]:
    """A bar on standard error for work that takes a while; without a terminal it says nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as shown:
        yield Bar(shown, title, total)


class Bar:
    """How far work has come."""

    def __init__(self, shown: Progress, title: str, total: float | None) -> None:
        self._shown = shown
        self._task = shown.add_task(title, total=total)

    def show(self, done: float, *, total: float | None = None, title: str | None = None) -> None:
        """So much is done, of so much, with this."""
        self._shown.update(self._task, completed=done, total=total, description=title)
