"""Where the container begins: checks what it was given, becomes the user it was told to be, makes way for the command.

Nothing but the standard library is imported: this runs at every start and at every `docker exec`.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from deploy.container import account, secretfiles
from deploy.container.account import CannotBecome
from deploy.container.folders import MOUNTS, Folder, Home

SERVICES = ("config", "webhooks", "acquisition", "gateway")
HEALTHCHECK = "healthcheck"
FAILED = 1  # as in deploy.cli.exits, which is not loaded here

KEEPING = frozenset({"migrate", "backup", "restore", "rollback", "deploy", "import", "keys"})
"""The commands that write the data folder."""

_DOWNLOADING = frozenset({"up", "acquisition"})

Environment = Mapping[str, str]


def main(arguments: Sequence[str], environment: Environment) -> int:
    """Becomes the command, or tells all that is wrong and returns the exit status."""
    command = arguments or ["up"]
    given = {name: value for name, value in environment.items() if value}
    found = [*account.problems(given), *_time_zone(given)]
    folders = needed_folders(command[0], given)
    mounts = MOUNTS.read_text(errors="surrogateescape")
    lost = {folder: list(folder.not_mounted(mounts)) for folder in folders}
    found += [problem for problems in lost.values() for problem in problems]
    if not any(account.problems(given)):
        found += _as_the_user(command[0], given, [folder for folder, problems in lost.items() if not problems])
    if not found:
        if command[0] != HEALTHCHECK:
            _tell("note", [*account.notes(given), *integrations(command[0], given)])
        _become(command_line(command), secretfiles.with_secrets(environment))
    _tell("error", found)
    return FAILED


def command_line(command: Sequence[str]) -> list[str]:
    """A service by its name, the health check of this container, or else a command of `lockgroove`."""
    name, *rest = command
    if name in SERVICES:
        return [sys.executable, "-m", f"services.{name}", *rest]
    if name == HEALTHCHECK:
        return [sys.executable, "-m", "deploy.container.healthcheck", *rest]
    return [str(Path(sys.executable).with_name("lockgroove")), *command]


def needed_folders(name: str, environment: Environment) -> list[Folder]:
    """The folders that a command works in."""
    folders: list[Folder] = []
    if name in SERVICES or name in KEEPING or name in _DOWNLOADING:
        folders.append(Home(variable="LOCKGROOVE_HOME", path=Path(environment.get("LOCKGROOVE_HOME", "/config"))))
    if name in _DOWNLOADING:
        read_only = environment.get("MUSIC_READ_ONLY") == "true"
        if path := environment.get("DOWNLOAD_PATH"):
            folders.append(Folder(variable="DOWNLOAD_PATH", path=Path(path)))
        if path := environment.get("MUSIC_PATH"):
            folders.append(Folder(variable="MUSIC_PATH", path=Path(path), read_only=read_only))
    if name == "up" and (path := environment.get("LOCKGROOVE_BACKUP_PATH")):
        folders.append(Home(variable="LOCKGROOVE_BACKUP_PATH", path=Path(path)))
    return folders


def _as_the_user(name: str, environment: Environment, folders: Sequence[Folder]) -> list[str]:
    """Becomes the user, from here to the end; returns what that user lacks."""
    user = account.read_account(environment)
    for folder in folders:
        if isinstance(folder, Home):
            folder.own(user)
    try:
        user.become()
    except CannotBecome as error:
        return [f"PUID: {error}"]
    lacking = [problem for folder in folders for problem in folder.unusable(user)]
    lacking += secretfiles.problems(environment)
    return [*lacking, *_root_key(environment)] if name in SERVICES else lacking


def _root_key(environment: Environment) -> Iterator[str]:
    named = environment.get("LOCKGROOVE_SECRET_KEY") or environment.get("LOCKGROOVE_SECRET_KEY_FILE")
    if not named and not (Path(environment.get("LOCKGROOVE_HOME", "/config")) / "secret.key").exists():
        text = "services in containers of their own need the same root key: name the file that holds it"
        yield f"LOCKGROOVE_SECRET_KEY_FILE: is not set: {text} (`openssl rand -base64 32` makes one)"


def _time_zone(environment: Environment) -> Iterator[str]:
    name = environment.get("TZ", "UTC")
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield f"TZ: {name!r} is not a time zone: expected a name like Europe/Berlin or UTC"


def integrations(name: str, environment: Environment) -> Iterator[str]:
    """What is set up by half. Nothing of it is needed: settings may come from the API, too."""
    if name not in ("up", "config"):
        return
    known = {*environment, *(each.removesuffix("_FILE") for each in environment)}
    for first, second in (
        ("SOULSEEK_USERNAME", "SOULSEEK_PASSWORD"),
        ("LIDARR_URL", "LIDARR_API_KEY"),
        ("SLSKD_URL", "SLSKD_API_KEY"),
        ("SPOTIFY_CLIENT_ID", "SPOTIFY_CLIENT_SECRET"),
    ):
        if (first in known) != (second in known):
            missing, there = (second, first) if first in known else (first, second)
            yield f"{missing}: is not set, though {there} is: that one stays off until the settings have it"


def _become(program: list[str], environment: Environment) -> NoReturn:
    os.execve(program[0], program, environment)  # noqa: S606 (no shell is wanted)


def _tell(level: str, texts: Sequence[str]) -> None:
    for text in texts:
        sys.stderr.write(f"{level}: {text}\n".encode(errors="backslashreplace").decode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
