"""Python and the libraries are of versions that the suite works with."""

import re
import sqlite3
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from deploy.cli.environment.finding import Environment, Finding, error

OLDEST_SQLITE = (3, 35, 0)  # knows RETURNING

_DISTRIBUTION = "lockgroove"
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*])?\s*([^;]*)")
_CLAUSE = re.compile(r"(>=|<=|==|<|>|!=)\s*([0-9][0-9.]*)")


def versions(_: Environment) -> Iterator[Finding]:
    """What is missing, too old or too new, against what the suite declares that it needs."""
    running = ".".join(map(str, sys.version_info[:3]))
    if broken := unmet(running, str(metadata(_DISTRIBUTION)["Requires-Python"] or "")):
        yield error("Python", f"is {running}: the suite needs {broken}")
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        yield error("SQLite", f"is {sqlite3.sqlite_version}: the suite needs {_dotted(OLDEST_SQLITE)} or newer")
    for requirement in requires(_DISTRIBUTION) or ():
        yield from _library(requirement)


def unmet(installed: str, wanted: str) -> str | None:
    """The first clause of `wanted`, as `>=2,<3`, that the installed version does not fulfil."""
    has = _numbers(installed)
    for operator, text in _CLAUSE.findall(wanted):
        bound = _numbers(text)
        width = max(len(has), len(bound))
        if not _fulfils(_padded(has, width), operator, _padded(bound, width)):
            return f"{operator}{text}"
    return None


def _library(requirement: str) -> Iterator[Finding]:
    parsed = _REQUIREMENT.match(requirement)
    if parsed is None or "extra ==" in requirement:
        return
    name, wanted = parsed[1], parsed[2]
    try:
        installed = version(name)
    except PackageNotFoundError:
        yield error(name, "is not installed: install the suite again, with all that it needs")
        return
    if broken := unmet(installed, wanted):
        yield error(name, f"is {installed}: the suite needs {broken}")


def _fulfils(has: tuple[int, ...], operator: str, bound: tuple[int, ...]) -> bool:
    order = (has > bound) - (has < bound)
    return {"<": order < 0, "<=": order <= 0, "==": order == 0, ">=": order >= 0, ">": order > 0, "!=": order != 0}[
        operator
    ]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.match(r"[0-9.]*", text)[0].strip(".").split(".") if part)  # type: ignore[index] # it always matches


def _padded(numbers: tuple[int, ...], width: int) -> tuple[int, ...]:
    return numbers + (0,) * (width - len(numbers))


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
