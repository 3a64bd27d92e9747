"""What a look at the environment finds."""

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from libs.errors import AppError

Environment = Mapping[str, str]


class Level(StrEnum):
    """How bad it is: with an error the suite does not start or not work, a warning may be meant so."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong with the `subject`, a variable or a file, and what to do."""

    level: Level
    subject: str
    text: str


Check = Callable[[Environment], Iterable[Finding]]
"""Looks at the variables and what they name, and changes nothing."""

Look = Callable[[Environment], Coroutine[Any, Any, list[Finding]]]
"""Looks at the machine or at what is reached over connections."""


def error(subject: str, text: str) -> Finding:
    """Something that the suite cannot work with."""
    return Finding(level=Level.ERROR, subject=subject, text=text)


def warning(subject: str, text: str) -> Finding:
    """Something that may be meant so."""
    return Finding(level=Level.WARNING, subject=subject, text=text)


def errors(fault: AppError, subject: str) -> Iterator[Finding]:
    """The violations of a fault, or else the fault itself about the subject."""
    for violation in fault.violations:
        yield error(violation.field, violation.description)
    if not fault.violations:
        yield error(subject, fault.message.removeprefix(subject).lstrip(": "))
