"""A file of keys, one a line: of its owner alone, and never seen half written."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path


def read(path: Path) -> list[str]:
    """The lines that are not empty. Raises OSError or UnicodeDecodeError."""
    return [line for line in path.read_text("ascii").splitlines() if line.strip()]


def make(path: Path, lines: Sequence[str]) -> None:
    """Makes the file, unless somebody else was first."""
    with _beside(path, lines) as whole, suppress(FileExistsError):
        os.link(whole, path)


def replace(path: Path, lines: Sequence[str]) -> None:
    """Puts another file in the place of this one, for the same owner: after a crash it is the old or the new one."""
    path = path.resolve()
    owner = path.stat()
    with _beside(path, lines) as whole:
        with suppress(PermissionError):  # root may do it for a service that runs as somebody else
            os.chown(whole, owner.st_uid, owner.st_gid)
        whole.replace(path)


@contextmanager
def _beside(path: Path, lines: Sequence[str]) -> Iterator[Path]:
    """A whole file of another name, which is on the disk."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        yield beside
        _sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
