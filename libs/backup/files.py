"""Files that are there whole or not at all, and for their owner only."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from libs.backup.errors import CopyFailed, NoRoom

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A new empty file beside `target`, which takes its place at the end; on an error it goes without a trace.

    Raises NoRoom, or CopyFailed for another fault of the disk.
    """
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    with told(target):
        try:
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            yield part
            sync(part)
            part.replace(target)
            sync(target.parent)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


@contextmanager
def told(place: Path) -> Iterator[None]:
    """Raises the fact behind a fault of the disk at a place."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoRoom(f"{place} cannot be written: the disk is full; free some space") from error
        raise CopyFailed(f"{error.filename or place}: {error.strerror or 'input or output failed'}") from error


def sync(path: Path) -> None:
    """Returns when a file, or what a folder holds, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a share that cannot sync folders
            raise
    finally:
        os.close(descriptor)
