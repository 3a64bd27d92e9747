"""Looks at folders as this process sees them: are they there, can it write to them, have they room? Leaves nothing."""

import asyncio
import errno
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

LOOK_SECONDS = 4.0  # after which a disk counts as one that hangs

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Fault(StrEnum):
    """What is wrong with a folder."""

    NONE = "FAULT_UNSPECIFIED"
    UNSET = "UNSET"
    MISSING = "MISSING"
    NOT_WRITABLE = "NOT_WRITABLE"
    FULL = "FULL"
    STALLED = "STALLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a folder has to be: writable, with so many bytes free. `parent` is what is looked at where it is not there.

    A parent is for a folder that is made when it is first needed.
    """

    setting: str
    path: Path | None
    writable: bool = True
    free_bytes: int = 0
    parent: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found; `device` tells file systems apart."""

    need: Need
    fault: Fault
    free_bytes: int = 0
    total_bytes: int = 0
    device: int | None = None


class FolderCheck:
    """Looks at folders, each in a thread of its own; a disk that hangs costs one thread, however often it is asked."""

    def __init__(self, look_at: Callable[[Need], Look], *, seconds: float = LOOK_SECONDS) -> None:
        self._look_at = look_at
        self._seconds = seconds
        self._looking: dict[Need, asyncio.Future[Look]] = {}

    async def look(self, *needs: Need) -> list[Look]:
        """What was found of each, in order."""
        return list(await asyncio.gather(*map(self._look, needs)))

    async def _look(self, need: Need) -> Look:
        looking = self._looking.get(need)
        if looking is None:
            looking = self._looking[need] = asyncio.ensure_future(asyncio.to_thread(self._look_at, need))
            looking.add_done_callback(lambda _: self._looking.pop(need))
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.shield(looking)
        except TimeoutError:
            return Look(need=need, fault=Fault.STALLED)


def look_at(need: Need) -> Look:
    """What is found of a folder; blocks for as long as its disk takes."""
    path = need.path
    if path is None:
        return Look(need=need, fault=Fault.UNSET)
    try:
        if need.parent is not None and not path.exists():
            path = need.parent
        device, usage = path.stat().st_dev, shutil.disk_usage(path)
        os.scandir(path).close()
    except (OSError, ValueError):  # a path may hold what no file system takes
        return Look(need=need, fault=Fault.MISSING)
    fault = _write(path) if need.writable else Fault.NONE
    if fault is Fault.NONE and usage.free < need.free_bytes:
        fault = Fault.FULL
    return Look(need=need, fault=fault, free_bytes=usage.free, total_bytes=usage.total, device=device)


def glance_at(need: Need) -> Look:
    """As `look_at`, but nothing is written: who glances again and again must let disks sleep."""
    path = need.path
    if path is None:
        return Look(need=need, fault=Fault.UNSET)
    try:
        if need.parent is not None and not path.exists():
            path = need.parent
        usage = shutil.disk_usage(path)
    except (OSError, ValueError):
        return Look(need=need, fault=Fault.MISSING)
    fault = Fault.NONE if os.access(path, os.W_OK | os.X_OK) else Fault.NOT_WRITABLE
    return Look(need=need, fault=fault, free_bytes=usage.free, total_bytes=usage.total)


def _write(folder: Path) -> Fault:
    """Writes a byte to a new file, whose name is gone before: not even a crash leaves it."""
    name = folder / f".lockgroove-{secrets.token_hex(8)}"
    try:
        file = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        try:
            name.unlink()
            os.write(file, b"\0")
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        return Fault.FULL if error.errno in _FULL else Fault.NOT_WRITABLE
    return Fault.NONE
