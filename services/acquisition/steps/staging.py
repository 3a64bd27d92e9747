"""The folder in which one attempt's files wait for verification: `<downloads>/<acquisition>/<attempt>/NN.ext`.

Names are ours alone: nothing that a peer says becomes part of a path.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from pathlib import Path

from services.acquisition.domain.acquisition import Acquisition
from services.acquisition.domain.attempt import Attempt
from services.acquisition.domain.listings import AUDIO_EXTENSIONS, extension
from services.acquisition.domain.ranking import RankedCandidate


class Staging:
    """The staging folders below the downloads folder of the moment."""

    def __init__(self, downloads: Callable[[], Path]) -> None:
        self._downloads = downloads

    @property
    def downloads(self) -> Path:
        """The downloads folder of the moment."""
        return self._downloads()

    def folder(self, acquisition: Acquisition, attempt: Attempt) -> Path:
        """The folder of an attempt."""
        return self._downloads() / acquisition.id / str(attempt.number)

    def paths(self, acquisition: Acquisition, attempt: Attempt, offer: RankedCandidate) -> list[Path]:
        """Where each file of the offer goes."""
        folder = self.folder(acquisition, attempt)
        return [
            folder / f"{position:02}.{_known_extension(pick.file.path)}"
            for position, pick in enumerate(offer.selection, start=1)
        ]

    async def remove(self, acquisition: Acquisition) -> None:
        """Remove everything that the acquisition staged."""
        await asyncio.to_thread(shutil.rmtree, self._downloads() / acquisition.id, ignore_errors=True)

    async def sweep(self, ended: Callable[[Collection[str]], Awaitable[Collection[str]]]) -> None:
        """Remove what acquisitions that have ended left behind. `ended` tells which did: the unknown are not ours."""
        downloads = self._downloads()
        left = await asyncio.to_thread(_names, downloads)
        for name in await ended(left):
            await asyncio.to_thread(shutil.rmtree, downloads / name, ignore_errors=True)


def _names(folder: Path) -> set[str]:
    """What may be staging folders in a folder, as far as anybody may look."""
    with suppress(OSError):
        return {path.name for path in folder.iterdir() if path.name.startswith("acq-")}
    return set()


def _known_extension(path: str) -> str:
    found = extension(path)
    return found if found in AUDIO_EXTENSIONS else "bin"
