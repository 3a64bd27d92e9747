"""What is told of a deployment: lines for people, or a JSON document a line."""

import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from deploy.cli.operating.steps import Mark, Outcome, Progress, Step
from deploy.cli.operating.window import Window
from deploy.cli.output import print_json, print_lines, printable

_LEVELS = {Mark.FAILED: "error", Mark.NOT_UNDONE: "critical", Mark.UNDONE: "warning"}
_ENDS = {
    Outcome.DONE: "deployed",
    Outcome.ROLLED_BACK: "a step failed; what ran before runs",
    Outcome.HALFWAY: "a step failed and was not put back: somebody has to look",
}


class Report:
    """Tells as it happens."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._id = str(uuid.uuid4())

    def plan(self, steps: Sequence[Step]) -> None:
        """What would be done."""
        if self._as_json:
            self._line("info", "plan", {"steps": [{"step": step.name, "plan": step.plan} for step in steps]})
        else:
            print_lines(f"{number}. {step.name:<9} {step.plan}" for number, step in enumerate(steps, 1))

    def tell(self, progress: Progress) -> None:
        """What became of a step."""
        with _heard_or_not():
            self._tell(progress)

    def _tell(self, progress: Progress) -> None:
        if self._as_json:
            data = {
                "step": progress.step,
                "mark": progress.mark,
                "seconds": progress.seconds,
                "detail": progress.detail,
            }
            self._line(_LEVELS.get(progress.mark, "info"), f"{progress.step} {progress.mark}", data)
        elif progress.mark is not Mark.BEGUN:
            _say(f"{progress.step:<9} {progress.mark:<10} {progress.seconds:6.1f} s  {progress.detail}".rstrip())

    def end(self, outcome: Outcome, *, dry_run: bool) -> None:
        """How it ended."""
        told = "nothing was changed" if dry_run else _ENDS[outcome]
        with _heard_or_not():
            if self._as_json:
                level = "info" if outcome is Outcome.DONE else "error"
                self._line(level, told, {"outcome": outcome, "dry_run": dry_run})
            else:
                _say(told)

    def _line(self, level: str, message: str, data: dict[str, Any]) -> None:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        print_json({"level": level, "message": message, "timestamp": moment, "deployment_id": self._id, "data": data})


def _say(line: str) -> None:
    """A line for people; not by rich, which ends the process when nobody reads."""
    sys.stdout.write(f"{printable(line)}\n")
    sys.stdout.flush()


@contextmanager
def _heard_or_not() -> Iterator[None]:
    """Who reads may have gone, with the line or the terminal: the deployment goes on to its end, or is put back."""
    try:
        yield
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def tell_window(window: Window, *, as_json: bool) -> None:
    """What users met with."""
    if as_json:
        print_json({**asdict(window), "breaches": window.breaches})
        return
    p95 = "no traffic" if window.p95 is None else f"p95 {window.p95 * 1000:.0f} ms"
    lines = [f"{window.requests:g} requests, {window.errors:g} errors, {p95}, oldest waits {window.lag:.0f} s"]
    print_lines(lines + [f"  BREACH {breach}" for breach in window.breaches])
