"""What the steps need of the local disks: a look into files, and the library."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Protocol

from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.files import LibraryFile
from services.acquisition.domain.verification import AudioFacts, Delivery, Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFile:
    """A verified file in the staging folder, and the name it gets in the library; artwork has no `track`."""

    path: Path
    name: str
    size: int
    sha256: str
    track: Track | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A verified album on its way into the library.

    `token` names the publisher: the acquisition. `album` has the release group where anybody knows it, `release_mbid`
    is the edition's, empty where it is not known. `folder` is where we would put it: `Artist/Album (Year)`. `staging`
    holds all of the files, in folders.
    """

    token: str
    album: Album
    release_mbid: str
    folder: PurePosixPath
    staging: Path
    files: tuple[VerifiedFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The album is in the library: these files."""

    files: tuple[LibraryFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """Somebody else is importing the album: publish it again after `delay`.

    Once `sign` has stayed the same for the whole `patience`, nothing comes any more; an outage has no patience.
    """

    delay: timedelta
    sign: str = ""
    patience: timedelta | None = None


class Inspector(Protocol):
    """Looks into audio files."""

    async def inspect(self, paths: Sequence[Path]) -> list[AudioFacts]:
        """The facts about each file, in order. Raises OSError where our own disk does not give one back."""
        ...


class Recogniser(Protocol):
    """Recognises recordings by their sound: what no tag can fake. Nothing implements it yet.

    To plug one in, hand it to `PeerSteps`: it is asked after every other rule, about files that passed them.
    """

    async def findings(self, album: Album, deliveries: Sequence[Delivery]) -> Sequence[Finding]:
        """The files that are other recordings than they should be; raises nothing when it cannot tell."""
        ...


class Shelf(Protocol):
    """The library of the moment. Methods raise an AppError that says what a person has to do."""

    async def check(self, staging: Path, size: int) -> None:
        """Make sure that an album of so many bytes can be staged and published; makes the staging folder."""
        ...

    async def publish(self, parcel: Parcel) -> Published | Awaited:
        """Put the files into the library, all at once; repeating it under the same token gives the same result.

        Whoever answers `Awaited` is asked again with the same parcel, until it answers `Published` or raises; the
        staged files stay where they are until then.
        """
        ...

    async def discard(self, token: str) -> None:
        """Remove what a publisher that has ended left unfinished; what is in the library stays."""
        ...
