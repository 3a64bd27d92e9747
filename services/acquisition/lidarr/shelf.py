"""The library that Lidarr keeps: verified albums are handed to it, and it names folders and files."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path, PurePosixPath, PureWindowsPath

from libs.errors import FailedPrecondition
from libs.telemetry.logger import get_logger
from services.acquisition.domain.lidarr import LidarrFault, LidarrUnavailable
from services.acquisition.domain.publishing import Awaited, Parcel, Published
from services.acquisition.library import Library
from services.acquisition.lidarr.importer import LidarrImporter, StagedTrack, Underway

log = get_logger()

LOOK_AGAIN = timedelta(seconds=2)
OUTAGE_PAUSE = timedelta(minutes=1)


class LidarrShelf:
    """Implements `domain.publishing.Shelf`.

    `minimum_free` tells how many bytes stay free on the downloads' disk, `patience` how long an import may stand still.
    """

    def __init__(
        self, importer: LidarrImporter, *, minimum_free: Callable[[], int], patience: Callable[[], timedelta]
    ) -> None:
        self._importer = importer
        self._minimum_free = minimum_free
        self._patience = patience

    async def check(self, staging: Path, size: int) -> None:
        """Make sure that so many bytes can be staged; makes the staging folder. Raises DiskFull, and OSError."""
        await asyncio.to_thread(staging.mkdir, parents=True, exist_ok=True)
        await Library(staging, reserve=self._minimum_free()).require_space(staging, size)

    async def publish(self, parcel: Parcel) -> Published | Awaited:
        """Have Lidarr import the tracks; it brings cover art of its own. An outage of Lidarr is waited for.

        Raises StagedFileMissing, and FailedPrecondition with the reason that Lidarr has against it.
        """
        staged = [
            StagedTrack(path=file.path, size=file.size, disc=track.disc, number=track.number, title=track.title)
            for file in parcel.files
            if (track := file.track) is not None
        ]
        try:
            files = await self._importer.hand_over(parcel.album, staged)
        except LidarrUnavailable as error:
            log.warning("lidarr.import_waits", why=str(error))
            return Awaited(delay=error.retry_after or OUTAGE_PAUSE)
        except LidarrFault as error:
            raise FailedPrecondition(str(error), reason=error.reason) from error
        if isinstance(files, Underway):
            return Awaited(delay=LOOK_AGAIN, sign=files.sign, patience=self._patience())
        return Published(files=files)

    async def discard(self, token: str) -> None:
        """Nothing: what Lidarr has is Lidarr's."""


def as_seen(path: Path, *, downloads: Path, theirs: str | None) -> str:
    """A path below our downloads folder, as Lidarr has it: `theirs` is that folder there, on whatever system."""
    if theirs is None:
        return str(path)
    spelling = PureWindowsPath if "\\" in theirs else PurePosixPath
    return str(spelling(theirs, *path.relative_to(downloads).parts))
