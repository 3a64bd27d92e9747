"""Where slskd puts the files, as we see it, and how they get from there to where we want them."""

import errno
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from services.acquisition.slskd.errors import FileMissing
from services.acquisition.slskd.place import FOLDER

_ELSEWHERE = frozenset({errno.EXDEV, errno.EPERM, errno.EACCES, errno.EROFS})  # cannot be moved, may be copied
_SEPARATOR = re.compile(r"[\\/]+")


class Landing:
    """slskd's downloads folder. Methods block: call them in a thread."""

    def __init__(self, downloads: Path) -> None:
        self._downloads = downloads

    def find(self, destination: str, size: int) -> Path | None:
        """The file of this size in a folder of ours, whatever slskd has called it."""
        folder = self._downloads / destination
        with suppress(OSError):
            for path in sorted(folder.iterdir()):
                if _is_file(path, size):
                    return path
        return None

    def translate(self, local: str, size: int) -> Path | None:
        """The file that slskd calls `local`: slskd may see its folder under another name than we do.

        One that it has put into a folder of ours is never looked for outside of it: there it would be somebody else's.
        """
        parts = [part for part in _SEPARATOR.split(local) if part not in ("", ".", "..")]
        shortest = parts.index(FOLDER) if FOLDER in parts[:-1] else len(parts) - 1
        for start in range(shortest + 1):
            path = self._downloads.joinpath(*parts[start:])
            if _is_file(path, size):
                return path
        return None

    def take(self, source: Path, target: Path, *, leave: bool) -> None:
        """Move the file, or copy it where it has to stay or cannot be moved.

        Raises FileNotFoundError where it has gone, FileMissing where we may not read it, and OSError for the target.
        """
        if not leave:
            try:
                source.rename(target)
            except OSError as error:
                if error.errno not in _ELSEWHERE:
                    raise
            else:
                return
        _copy(source, target)
        if not leave:
            with suppress(OSError):  # not ours to delete: slskd's folder may be another user's
                source.unlink()

    def remove(self, folder: str) -> None:
        """Remove a folder of ours and what is in it."""
        shutil.rmtree(self._downloads / folder, ignore_errors=True)

    def prune(self, folder: str) -> None:
        """Remove a folder of ours and those above it, as far as they are empty."""
        path = self._downloads / folder
        with suppress(OSError):
            while path != self._downloads:
                path.rmdir()
                path = path.parent

    def names(self, folder: str) -> set[str]:
        """What is in a folder of ours."""
        with suppress(OSError):
            return {path.name for path in (self._downloads / folder).iterdir()}
        return set()


def make_room(target: Path) -> None:
    """An empty place for a file; raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)


def _is_file(path: Path, size: int) -> bool:
    with suppress(OSError):
        return path.is_file() and not path.is_symlink() and path.stat().st_size == size
    return False


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(f"{target.name}.part")
    try:
        reading = source.open("rb")
    except PermissionError as error:
        why = f"{source} cannot be read ({error.strerror}). Give this service's user access to slskd's files"
        raise FileMissing(source.name, why) from error
    with reading, part.open("wb") as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)
        writing.flush()
        os.fsync(writing.fileno())
    part.replace(target)
