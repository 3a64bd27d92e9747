"""Stops what runs, and starts a release: by the commands that the environment names."""

import asyncio
import os
import re
import shlex
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from deploy.cli.backups.installation import Installation
from deploy.cli.backups.standing import StillRunning, require_standstill
from deploy.cli.releases.records import Release
from deploy.cli.running.marks import running_pid
from libs.backup.files import beside
from libs.errors import FailedPrecondition

ENV_FILE = "LOCKGROOVE_ENV_FILE"
IMAGE = "LOCKGROOVE_IMAGE"
RELEASE = "LOCKGROOVE_RELEASE"
RESTART = "LOCKGROOVE_RESTART_COMMAND"
STOP = "LOCKGROOVE_STOP_COMMAND"

_PATIENCE = 60.0  # seconds for services to end
_POLL = 0.2
_COMMAND_PATIENCE = 600.0
_IMAGE_LINE = re.compile(r"^[ \t]*(export[ \t]+)?LOCKGROOVE_IMAGE=.*$", re.MULTILINE)


class CommandFailed(FailedPrecondition):
    """A command of the operator's did not end well."""

    reason = "COMMAND_FAILED"


async def stop(installation: Installation) -> None:
    """Ends the suite where somebody starts it again: by LOCKGROOVE_STOP_COMMAND, or else the supervisor by SIGTERM.

    Raises StillRunning where neither is to be had, or services do not end, and CommandFailed.
    """
    environment = installation.environment
    if STOP in environment:
        await _run(STOP, environment)
    elif RESTART in environment and (pid := running_pid(installation.home)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    else:
        return await require_standstill(installation)
    try:
        async with asyncio.timeout(_PATIENCE):
            while not await _stands(installation):  # noqa: ASYNC110 (other processes have no event to wait for)
                await asyncio.sleep(_POLL)
    except TimeoutError as error:
        raise StillRunning(f"the suite did not stop within {_PATIENCE:g} s; nothing was changed") from error
    return None


async def start_again(environment: Mapping[str, str]) -> None:
    """Starts what was stopped, as it was, where a command is named for that. Raises CommandFailed."""
    if RESTART in environment:
        await _run(RESTART, environment)


async def start(release: Release, environment: Mapping[str, str]) -> bool:
    """Names the image in LOCKGROOVE_ENV_FILE and runs LOCKGROOVE_RESTART_COMMAND; False where there is none.

    Raises CommandFailed or CopyFailed: then the file is as it was.
    """
    file = Path(environment[ENV_FILE]) if ENV_FILE in environment else None
    before = name_image(file, release.image) if file and release.image else None
    if RESTART not in environment:
        return False
    try:
        named = {RELEASE: release.version, **({IMAGE: release.image} if release.image else {})}
        await _run(RESTART, {**environment, **named})
    except CommandFailed:
        if file and before is not None:
            _write(file, before)
        raise
    return True


def name_image(file: Path, image: str) -> str:
    """Puts `LOCKGROOVE_IMAGE=` of an env file to this image; returns the text before."""
    try:
        before = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{file} ({ENV_FILE}) cannot be read") from error
    line = f"{IMAGE}={image}"
    after, changed = _IMAGE_LINE.subn(lambda found: f"{found[1] or ''}{line}", before)
    _write(file, after if changed else f"{before.rstrip()}\n{line}\n".lstrip())
    return before


def _write(file: Path, text: str) -> None:
    mode = file.stat().st_mode & 0o777
    with beside(file) as part:
        part.write_text(text)
        part.chmod(mode)


async def _stands(installation: Installation) -> bool:
    try:
        await require_standstill(installation)
    except StillRunning:
        return False
    return True


async def _run(name: str, environment: Mapping[str, str]) -> None:
    """Runs an operator's command, without a shell; what it prints goes to standard error."""
    try:
        command = shlex.split(environment[name])
        child = await asyncio.create_subprocess_exec(
            *command, env=dict(environment), stdin=asyncio.subprocess.DEVNULL, stdout=2
        )
        async with asyncio.timeout(_COMMAND_PATIENCE):
            status = await child.wait()
    except TimeoutError as error:
        child.kill()
        raise CommandFailed(f"{name} did not end within {_COMMAND_PATIENCE:g} s") from error
    except (OSError, ValueError, TypeError) as error:
        raise CommandFailed(f"{name} cannot be run: is it a command?") from error
    if status:
        raise CommandFailed(f"{name} ended with status {status}")
