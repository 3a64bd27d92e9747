"""The library of the moment: wherever the settings say that the music is, now, and whoever puts albums into it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from services.acquisition.domain.files import LibraryFile
from services.acquisition.domain.publishing import Awaited, Parcel, Published, Shelf
from services.acquisition.domain.wish import music_path_not_set
from services.acquisition.library import RESERVE_BYTES, Ended, Library, StagedFile


class LiveShelf:
    """Implements `domain.publishing.Shelf`: we put albums into the library ourselves.

    `music` tells where the library is, None while nobody said so; `minimum_free` how many bytes stay free on its disk
    and on that of the downloads.
    """

    def __init__(
        self, music: Callable[[], Path | None], *, minimum_free: Callable[[], int] = lambda: RESERVE_BYTES
    ) -> None:
        self._music = music
        self._minimum_free = minimum_free

    async def check(self, staging: Path, size: int) -> None:
        """Make sure that an album of so many bytes can be staged and published; makes the staging folder.

        Raises MusicPathNotSet, what `Library.check` and `require_space` raise, and OSError for the staging folder.
        """
        library = self._library()
        await library.check()
        await asyncio.to_thread(staging.mkdir, parents=True, exist_ok=True)
        await library.require_space(staging, size)
        await library.require_own_space(staging, size)

    async def publish(self, parcel: Parcel) -> Published:
        """Put the files into the library, all at once. Raises MusicPathNotSet and what `Library.publish` raises."""
        staged = [
            StagedFile(path=file.path, name=file.name, size=file.size, sha256=file.sha256, optional=file.track is None)
            for file in parcel.files
        ]
        published = await self._library().publish(staged, parcel.folder, token=parcel.token)
        files = (LibraryFile(path=str(file.path), size=file.size, sha256=file.sha256) for file in published)
        return Published(files=tuple(files))

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
        return Library(music, reserve=self._minimum_free())


class ChosenShelf:
    """Implements `domain.publishing.Shelf`: whichever one `choose` says, at the time of each call."""

    def __init__(self, choose: Callable[[], Shelf]) -> None:
        self._choose = choose

    async def check(self, staging: Path, size: int) -> None:
        """As the chosen one does."""
        await self._choose().check(staging, size)

    async def publish(self, parcel: Parcel) -> Published | Awaited:
        """As the chosen one does."""
        return await self._choose().publish(parcel)

    async def discard(self, token: str) -> None:
        """As the chosen one does."""
        await self._choose().discard(token)
