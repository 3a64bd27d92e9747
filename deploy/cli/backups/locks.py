"""One at a time: who makes a backup, or restores one, holds a lock that ends with its process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from libs.backup.files import told
from libs.errors import FailedPrecondition

BACKUP = ".backup.lock"
RESTORE = ".restore.lock"


class AnotherIsAtIt(FailedPrecondition):
    """Another process makes or restores a backup now."""

    reason = "ANOTHER_IS_AT_IT"


@contextmanager
def alone(folder: Path, name: str) -> Iterator[None]:
    """Holds the lock of a folder, which is made when missing. Raises AnotherIsAtIt or CopyFailed."""
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with told(folder):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise AnotherIsAtIt(f"another process is at it in {folder}: wait for it to end") from error
        yield
    finally:
        os.close(descriptor)
