"""The backup of the day: begun by `lockgroove up` at a time of the day, made by a process that ends with it.

What counts is the newest verified backup in the folder: one that was missed, or failed, is caught up, and several
suites that share a folder make one.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, time, timedelta
from pathlib import Path

from libs.backup.folder import backup_folder, kept
from libs.errors import InvalidArgument

VARIABLE = "LOCKGROOVE_BACKUP_TIME"
LOOK = 60.0  # seconds between looks at the clock, which may be set, or stand still with the machine
RETRY = timedelta(hours=1)
SKEW = timedelta(hours=1)  # a backup from further ahead was made while the clock was wrong

_USUAL = "03:00"

Make = Callable[[], Awaitable[bool]]
"""Makes a backup; returns whether it could."""


def time_of(environment: Mapping[str, str] = os.environ) -> time | None:
    """When backups are made, in local time; None where nobody wants them. Raises InvalidArgument."""
    told = environment.get(VARIABLE, _USUAL).strip()
    if told.lower() in ("", "off"):
        return None
    try:
        return datetime.strptime(told, "%H:%M").time()
    except ValueError as error:
        raise InvalidArgument.field(VARIABLE, "must be a time such as 03:00, or off") from error


def last_due(now: datetime, at: time) -> datetime:
    """The last moment at which a backup was due; `now` is in local time."""
    today = now.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
    return today if today <= now else today - timedelta(days=1)


class Schedule:
    """Makes a backup whenever one is due; the clock is that of the wall, in local time."""

    def __init__(self, *, at: time, folder: Path, make: Make, now: Callable[[], datetime]) -> None:
        self._at = at
        self._folder = folder
        self._make = make
        self._now = now
        self._rest_until: datetime | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Looks again and again until `stop`; the first time when services had time to start."""
        while not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await stop.wait()
                return
            await self.run_once()

    async def run_once(self) -> None:
        """Makes a backup if one is due; after a failure not before an hour has gone."""
        now = self._now()
        if self._is_due(now) and not await self._make():
            self._rest_until = now + RETRY

    def _is_due(self, now: datetime) -> bool:
        if self._rest_until is not None and now < self._rest_until:
            return False
        due = last_due(now, self._at)
        made = (each.made_at for each in kept(self._folder) if each.verified)
        return not any(due <= moment <= now + SKEW for moment in made)


def backup_schedule(environment: Mapping[str, str], write: Callable[[str, str], None]) -> Schedule | None:
    """That of an installation; None where nobody wants backups. Raises InvalidArgument."""
    if (at := time_of(environment)) is None:
        return None
    home = Path(environment.get("LOCKGROOVE_HOME") or "data").absolute()

    async def make() -> bool:
        return await make_apart(environment, write)

    return Schedule(at=at, folder=backup_folder(home, environment), make=make, now=lambda: datetime.now().astimezone())


async def make_apart(environment: Mapping[str, str], write: Callable[[str, str], None]) -> bool:
    """Makes a backup in a process of its own, which ends with this one; the lines it prints go to `write`."""
    try:
        child = await _begin(environment)
    except OSError as error:
        write("lockgroove", f"backup failed: no process can be started: {error.strerror}")
        return False
    try:
        said, _ = await child.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        raise
    for line in said.decode(errors="replace").splitlines():
        write("lockgroove", line)
    return child.returncode == 0


async def _begin(environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.cli.backups.scheduled",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(environment),
    )
