"""The folder in which one attempt's files wait for verification: `<downloads>/<acquisition>/<attempt>/NN.ext`.

Names are ours alone: nothing that a peer says becomes part of a path.
"""

import asyncio
import shutil
from collections.abc import Callable, Collection
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

    async def sweep(self, active: Collection[str]) -> None:
        """Remove what acquisitions that are no longer active left behind; what is not ours is not touched."""
        await asyncio.to_thread(self._sweep, frozenset(active))

    def _sweep(self, active: frozenset[str]) -> None:
        downloads = self._downloads()
        for folder in downloads.glob("acq-*") if downloads.is_dir() else ():
            if folder.name not in active:
                shutil.rmtree(folder, ignore_errors=True)


def _known_extension(path: str) -> str:
    found = extension(path)
    return found if found in AUDIO_EXTENSIONS else "bin"
