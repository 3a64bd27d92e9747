"""`lockgroove validate`: what is wrong with the environment, all of it at once, before anything is started.

A check looks at the environment as the suite would read it, and changes nothing. No finding tells a secret.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deploy.cli.environment.addresses import addresses
from deploy.cli.environment.databases import databases, sealed, server
from deploy.cli.environment.finding import Check, Environment, Finding, Level, Look, error, errors
from deploy.cli.environment.folders import folders
from deploy.cli.environment.keys import admin_key, root_key
from deploy.cli.environment.machine import machine
from deploy.cli.environment.names import names
from deploy.cli.environment.ports import ports
from deploy.cli.environment.processes import processes
from deploy.cli.environment.redis import redis
from deploy.cli.environment.settings import settings
from deploy.cli.environment.transport import transport
from deploy.cli.environment.versions import versions
from libs.errors import AppError
from libs.sql.url import database_url

WITHIN = 20.0  # seconds for a look


def database(environment: Environment) -> Iterator[Finding]:
    """The database is one that the suite can use, as far as its address tells."""
    try:
        database_url(home=Path(), service="config", configured=environment.get("DATABASE_URL"))
    except AppError as fault:
        yield from errors(fault, "DATABASE_URL")


CHECKS: tuple[Check, ...] = (settings, names, processes, addresses, transport, admin_key, root_key, database)
"""Quick, and of the variables alone."""

HERE: tuple[Look, ...] = (machine, folders)
"""Of this machine."""

CONNECTED: tuple[Look, ...] = (ports, databases, server, sealed, redis)
"""Of what is reached over connections."""


def findings(environment: Environment) -> list[Finding]:
    """What the variables themselves say; an empty variable counts as unset."""
    given = {name: value for name, value in environment.items() if value}
    return list(dict.fromkeys(finding for check in CHECKS for finding in check(given)))


async def all_findings(environment: Environment, *, offline: bool = False) -> list[Finding]:
    """What every check and every look finds; `offline` makes no connections."""
    given = {name: value for name, value in environment.items() if value}
    looks = HERE if offline else HERE + CONNECTED
    found = [*findings(given), *versions(given)]
    return list(dict.fromkeys([*found, *await looked(looks, given)]))


def count(level: Level, found: Iterable[Finding]) -> int:
    """How many are of this level."""
    return sum(finding.level is level for finding in found)


def as_text(found: Iterable[Finding]) -> str:
    """The findings for people; bytes that are no text, as paths may hold, are shown escaped."""
    rows = sorted(found, key=lambda finding: finding.level)
    width = max((len(finding.subject) for finding in rows), default=0)
    lines = [f"{finding.level:<8} {finding.subject:<{width}}  {finding.text}" for finding in rows]
    lines.append(_summary(rows))
    return "\n".join(lines).encode(errors="backslashreplace").decode()


def as_json(found: Iterable[Finding]) -> dict[str, Any]:
    """The findings for programs."""
    listed = list(found)
    levels = {level.value: count(level, listed) for level in Level}
    return {"findings": [asdict(finding) for finding in listed], "counts": levels}


async def looked(looks: Iterable[Look], environment: Environment) -> list[Finding]:
    """All looks at once, each for so long at most; one that fails is itself a finding."""
    chosen = list(looks)
    done = await asyncio.gather(
        *(asyncio.wait_for(each(environment), WITHIN) for each in chosen), return_exceptions=True
    )
    found: list[Finding] = []
    for look, result in zip(chosen, done, strict=True):
        found += _failed(look, result) if isinstance(result, BaseException) else result
    return found


def _failed(look: Look, fault: BaseException) -> list[Finding]:
    if isinstance(fault, AppError):  # a variable that a check has told of already
        return [] if fault.violations else list(errors(fault, look.__name__))
    if isinstance(fault, TimeoutError):
        return [error(look.__name__, f"could not be looked at within {WITHIN:g} s")]
    return [error(look.__name__, f"could not be looked at: {type(fault).__name__}")]


def _summary(found: list[Finding]) -> str:
    if not found:
        return "The environment is fine."
    wrong, doubtful = count(Level.ERROR, found), count(Level.WARNING, found)
    return f"{wrong} error{'' if wrong == 1 else 's'}, {doubtful} warning{'' if doubtful == 1 else 's'}"
