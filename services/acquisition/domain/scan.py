"""The last look at what a batch has acquired: every file of every album must be in the library.

Not being able to see is no absence: it changes nothing until the patience ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from services.acquisition.domain.attempt import Failure
from services.acquisition.domain.files import LibraryFile


class Presence(Enum):
    """Whether a file is in the library with its size."""

    PRESENT = "PRESENT"
    ABSENT = "ABSENT"
    UNKNOWN = "UNKNOWN"


class Library(Protocol):
    """Where the files are."""

    async def look(self, files: Sequence[LibraryFile]) -> Sequence[Presence]:
        """How it stands with each of the files."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a look has come to: the albums with files that are missing, by position, and whether all could be seen."""

    missing: Mapping[int, Failure] = field(default_factory=dict)
    whole: bool = True


async def scan(library: Library, albums: Mapping[int, Sequence[LibraryFile]]) -> Scan:
    """One look at the files of all albums."""
    files = [(position, file) for position, album in albums.items() for file in album]
    found = await library.look([file for _, file in files])
    absent: dict[int, list[LibraryFile]] = {}
    for (position, file), presence in zip(files, found, strict=True):
        if presence is Presence.ABSENT:
            absent.setdefault(position, []).append(file)
    missing = {position: _missing(lost, len(albums[position])) for position, lost in absent.items()}
    return Scan(missing=missing, whole=Presence.UNKNOWN not in found)


def _missing(lost: Sequence[LibraryFile], total: int) -> Failure:
    message = f"{len(lost)} of {total} files are not in the library, first {lost[0].path}. Ask for the album again."
    return Failure(reason="FILE_MISSING", message=message)
