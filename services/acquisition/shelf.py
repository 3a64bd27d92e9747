"""The library of the moment: wherever the settings say that the music is, now."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from services.acquisition.domain.files import LibraryFile
from services.acquisition.domain.publishing import VerifiedFile
from services.acquisition.domain.wish import music_path_not_set
from services.acquisition.library import Ended, Library, StagedFile


class LiveShelf:
    """Implements `domain.publishing.Shelf`. `music` tells where the library is, None while nobody said so."""

    def __init__(self, music: Callable[[], Path | None]) -> None:
        self._music = music

    async def check(self, staging: Path, size: int) -> None:
        """Make sure that an album of so many bytes can be staged and published; makes the staging folder.

        Raises MusicPathNotSet, what `Library.check` and `require_space` raise, and OSError for the staging folder.
        """
        library = self._library()
        await library.check()
        await asyncio.to_thread(staging.mkdir, parents=True, exist_ok=True)
        await library.require_space(staging, size)

    async def publish(
        self, files: Sequence[VerifiedFile], folder: PurePosixPath, *, token: str
    ) -> tuple[LibraryFile, ...]:
        """Put the files into the library, all at once. Raises MusicPathNotSet and what `Library.publish` raises."""
        staged = [StagedFile(path=file.path, name=file.name, size=file.size, sha256=file.sha256) for file in files]
        published = await self._library().publish(staged, folder, token=token)
        return tuple(LibraryFile(path=str(file.path), size=file.size, sha256=file.sha256) for file in published)

    async def discard(self, token: str) -> None:
        """Remove what a publisher that has ended left unfinished."""
        if (music := self._music()) is not None:
            await Library(music).discard(token)

    async def sweep(self, ended: Ended) -> None:
        """Remove what publishers that have ended left unfinished; `ended` tells which of them did."""
        if (music := self._music()) is not None:
            await Library(music).sweep(ended)

    def _library(self) -> Library:
        music = self._music()
        if music is None:
            raise music_path_not_set()
        return Library(music)
