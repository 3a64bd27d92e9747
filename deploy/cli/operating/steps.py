"""Steps that are done in turn; where one fails, what was begun is put back, the last one first.

begun -> done                     the next one
begun -> failed -> undone ...     ROLLED_BACK, once every step that was begun is back
                -> not undone     HALFWAY: a person has to look; nothing before it is touched any more
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from libs.errors import AppError

_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Act = Callable[[], Awaitable[str]]
"""Does something; returns what to tell of it. Raises to fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One of them. `undo` puts back also what a failed `do` has begun; None where there is nothing to put back."""

    name: str
    plan: str
    do: Act
    undo: Act | None = None


class Mark(StrEnum):
    """What became of a step."""

    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"
    NOT_UNDONE = "not undone"


class Outcome(StrEnum):
    """How it ended."""

    DONE = "done"
    ROLLED_BACK = "rolled back"
    HALFWAY = "halfway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Something that became of a step, after so many seconds."""

    step: str
    mark: Mark
    seconds: float = 0.0
    detail: str = ""


Tell = Callable[[Progress], None]


async def run_steps(steps: Sequence[Step], tell: Tell, *, roll_back: bool = True) -> Outcome:
    """Does all of them, or puts back what was begun; an interruption (Ctrl-C, SIGTERM, a lost line) is a failure."""
    begun: list[Step] = []
    for step in steps:
        begun.append(step)
        tell(Progress(step=step.name, mark=Mark.BEGUN))
        if not await _try(step.name, step.do, tell, Mark.DONE, Mark.FAILED):
            return await _put_back(begun, tell, roll_back=roll_back)
    return Outcome.DONE


async def _put_back(begun: Sequence[Step], tell: Tell, *, roll_back: bool) -> Outcome:
    for step in reversed(begun):
        if step.undo is None:
            continue
        if not roll_back:
            return Outcome.HALFWAY
        if not await _try(step.name, step.undo, tell, Mark.UNDONE, Mark.NOT_UNDONE):
            return Outcome.HALFWAY
    return Outcome.ROLLED_BACK


async def _try(name: str, act: Act, tell: Tell, well: Mark, ill: Mark) -> bool:
    begun = time.monotonic()
    task = asyncio.ensure_future(act())
    with_signals = asyncio.get_running_loop()
    for number in _INTERRUPTIONS:
        with_signals.add_signal_handler(number, task.cancel)
    try:
        await asyncio.wait([task])
    finally:
        for number in _INTERRUPTIONS:
            with_signals.remove_signal_handler(number)
    fault = None if task.cancelled() else task.exception()
    seconds = round(time.monotonic() - begun, 3)
    if task.cancelled() or fault:
        tell(Progress(step=name, mark=ill, seconds=seconds, detail=_told(fault)))
        return False
    tell(Progress(step=name, mark=well, seconds=seconds, detail=task.result()))
    return True


def _told(fault: BaseException | None) -> str:
    if fault is None:
        return "interrupted"
    if isinstance(fault, AppError):
        return fault.message
    return f"a defect: {type(fault).__name__}"
