"""The folder in which an acquisition's files wait for verification: `<downloads>/<acquisition>/<attempt>/NN.ext`.

Names are ours alone: nothing that a peer says becomes part of a path.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from pathlib import Path

from services.acquisition.domain.acquisition import Acquisition


class Staging:
    """The staging folders below the downloads folder of the moment."""

    def __init__(self, downloads: Callable[[], Path]) -> None:
        self._downloads = downloads

    @property
    def downloads(self) -> Path:
        """The downloads folder of the moment."""
        return self._downloads()

    def folder(self, acquisition: Acquisition) -> Path:
        """The folder of an acquisition."""
        return self._downloads() / acquisition.id

    def path(self, acquisition: Acquisition, place: str) -> Path:
        """Where a file of that place is."""
        return self.folder(acquisition) / place

    async def retain(self, acquisition: Acquisition, places: Collection[str], *, attempt: int) -> None:
        """Remove what earlier attempts left behind, these places aside."""
        folder = self.folder(acquisition)
        kept = {folder / place for place in places}
        await asyncio.to_thread(_retain, folder, kept, folder / str(attempt))

    async def remove(self, acquisition: Acquisition) -> None:
        """Remove everything that the acquisition staged."""
        await asyncio.to_thread(shutil.rmtree, self.folder(acquisition), ignore_errors=True)

    async def sweep(self, ended: Callable[[Collection[str]], Awaitable[Collection[str]]]) -> None:
        """Remove what acquisitions that have ended left behind. `ended` tells which did: the unknown are not ours."""
        downloads = self._downloads()
        left = await asyncio.to_thread(_names, downloads)
        for name in await ended(left):
            await asyncio.to_thread(shutil.rmtree, downloads / name, ignore_errors=True)


def _retain(folder: Path, kept: Collection[Path], current: Path) -> None:
    with suppress(OSError):
        for path in folder.glob("*/*"):
            if path.parent != current and path not in kept:
                path.unlink()
        for path in folder.iterdir():
            if path != current:
                with suppress(OSError):  # not empty: it holds what is kept
                    path.rmdir()


def _names(folder: Path) -> set[str]:
    """What may be staging folders in a folder, as far as anybody may look."""
    with suppress(OSError):
        return {path.name for path in folder.iterdir() if path.name.startswith("acq-")}
    return set()
