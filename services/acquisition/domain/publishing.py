"""What the steps need of the local disks: a look into files, and the library."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from services.acquisition.domain.files import LibraryFile
from services.acquisition.domain.verification import AudioFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFile:
    """A verified file in the staging folder, and the name it gets in the library."""

    path: Path
    name: str
    size: int
    sha256: str


class Inspector(Protocol):
    """Looks into audio files."""

    async def inspect(self, paths: Sequence[Path]) -> list[AudioFacts]:
        """The facts about each file, in order."""
        ...


class Shelf(Protocol):
    """The library of the moment. Methods raise an AppError that says what a person has to do."""

    async def check(self, staging: Path, size: int) -> None:
        """Make sure that an album of so many bytes can be staged and published; makes the staging folder."""
        ...

    async def publish(
        self, files: Sequence[VerifiedFile], folder: PurePosixPath, *, token: str
    ) -> tuple[LibraryFile, ...]:
        """Put the files into the library, all at once; repeating it under the same token gives the same result."""
        ...

    async def discard(self, token: str) -> None:
        """Remove what a publisher that has ended left unfinished; what is in the library stays."""
        ...
