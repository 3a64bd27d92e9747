"""Whether files are where they were put: present, absent, or unknown while the folder cannot be read."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from services.acquisition.domain.files import LibraryFile
from services.acquisition.domain.scan import Presence

SECONDS = 60.0  # for one look; a network share that hangs is no proof of anything


class DiskLibrary:
    """Implements `domain.scan.Library` on the disks of this machine."""

    def __init__(self, *, seconds: float = SECONDS) -> None:
        self._seconds = seconds

    async def look(self, files: Sequence[LibraryFile]) -> Sequence[Presence]:
        """How it stands with each of the files."""
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.to_thread(lambda: [_look(file) for file in files])
        except TimeoutError:
            return [Presence.UNKNOWN] * len(files)


def _look(file: LibraryFile) -> Presence:
    path = Path(file.path)
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return _unseen(file, path)
    except OSError:
        return Presence.UNKNOWN
    as_told = size == file.size or not file.sha256  # Lidarr may have written new tags into its own
    return Presence.PRESENT if as_told else Presence.ABSENT


def _unseen(file: LibraryFile, path: Path) -> Presence:
    """A file is known to be absent where its library is seen: an empty folder may be one that is not mounted.

    A library of Lidarr's that this machine does not see at all is Lidarr's word, which has confirmed the import.
    """
    library = [path, *path.parents][:4][-1]  # of Artist/Album/File
    try:
        if path.is_absolute() and library.is_dir() and any(library.iterdir()):
            return Presence.ABSENT
    except OSError:
        return Presence.UNKNOWN
    return Presence.UNKNOWN if file.sha256 else Presence.PRESENT
