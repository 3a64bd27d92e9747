"""The folders of the suite are there, have room, and the user that will run may write to them."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.cli.environment.finding import Environment, Finding, error, warning
from services.config.settings import Settings

MINIMUM_DISK = "LOCKGROOVE_MINIMUM_DISK_GB"

_DEFAULT_DISK_GB = 10.0
_GB = 1_000_000_000
_WITHIN = 8.0  # seconds for a folder to be looked at
_NETWORKED = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs"})
_PROBE = Path(__file__).with_name("probe.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One that the suite uses, and the variable that names it."""

    variable: str
    path: Path
    made: bool
    """Whether the suite makes it, where it is not there."""
    written: bool = True


async def folders(environment: Environment) -> list[Finding]:
    """What is wrong with any of them."""
    try:
        least = float(environment.get(MINIMUM_DISK, _DEFAULT_DISK_GB))
    except ValueError:
        return [error(MINIMUM_DISK, "must be a number of gigabytes, such as 10")]
    used = folders_of(environment)
    looks = await asyncio.gather(*(_probed(folder.path, environment) for folder in used))
    found = [
        finding for folder, seen in zip(used, looks, strict=True) for finding in judged(folder, seen, least_gb=least)
    ]
    home = looks[0]
    if home and home["kind"] in _NETWORKED and not environment.get("DATABASE_URL"):
        text = (
            f"is on a network file system ({home['kind']}), where SQLite loses data: use a local disk or DATABASE_URL"
        )
        found.append(warning("LOCKGROOVE_HOME", text))
    return found


def folders_of(environment: Environment) -> list[Folder]:
    """Those that the environment names; settings in the database may name others."""
    home = Settings.from_environment(environment).home
    downloads = Path(environment.get("DOWNLOAD_PATH") or home / "downloads")
    used = [
        Folder(variable="LOCKGROOVE_HOME", path=home, made=True),
        Folder(variable="DOWNLOAD_PATH", path=downloads, made=True),
    ]
    if music := environment.get("MUSIC_PATH"):
        ours = environment.get("LIBRARY_OWNER") != "LIDARR"  # what Lidarr owns, Lidarr writes
        used.append(Folder(variable="MUSIC_PATH", path=Path(music), made=False, written=ours))
    return used


def judged(folder: Folder, seen: dict[str, Any] | None, *, least_gb: float) -> list[Finding]:
    """What the look at a folder says about it."""
    if seen is None:
        return [
            error(folder.variable, f"{folder.path} could not be looked at within {_WITHIN:g} s: does its disk hang?")
        ]
    found = []
    if not seen["exists"] and not folder.made:
        found.append(error(folder.variable, f"{folder.path} is not there: is its disk mounted?"))
    elif folder.written and seen["why"]:
        found.append(error(folder.variable, f"{folder.path} cannot be written to by the user that runs: {seen['why']}"))
    if folder.written and seen["free"] is not None and seen["free"] < least_gb * _GB:
        text = f"{folder.path} has {seen['free'] / _GB:.1f} GB free, {least_gb:g} are wanted ({MINIMUM_DISK})"
        found.append(error(folder.variable, text))
    return found


async def _probed(path: Path, environment: Environment) -> dict[str, Any] | None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(_PROBE),
        str(path),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        **_user(environment),
    )
    try:
        async with asyncio.timeout(_WITHIN):
            printed, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        return None
    return dict(json.loads(printed)) if process.returncode == 0 else None


def _user(environment: Environment) -> dict[str, Any]:
    """Who will run: in a container that still runs as root, the user that PUID and PGID name."""
    user, group = environment.get("PUID", ""), environment.get("PGID", "")
    if os.geteuid() == 0 and user.isdigit() and group.isdigit():
        return {"user": int(user), "group": int(group), "extra_groups": []}
    return {}
