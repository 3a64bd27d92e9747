"""What we ask of a Lidarr server, in our words, and how it may answer.

LidarrFault
├── LidarrUnavailable     cannot be reached, overloaded, or not in its right mind: unknown, try later
├── LidarrNotConfigured   no address or no key is set, or it is switched off
├── LidarrRefusedKey      the key is wrong
├── LidarrNotReady        it lacks a root folder or a profile that an artist needs
├── LidarrRefused         it refuses what we ask, and says why
├── AlbumUnknown          it knows no such album
└── AlbumAmbiguous        without an MBID it cannot be told which album is meant
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Protocol

from services.acquisition.domain.album import Album
from services.acquisition.domain.files import LibraryFile

NO_LIDARR = "Lidarr has no address. Set lidarr.url and lidarr.apiKey, then retry."


class LidarrFault(Exception):
    """Something between us and Lidarr; `reason` is for programs, the text for people."""

    reason: ClassVar[str] = "LIDARR_FAULT"


class LidarrUnavailable(LidarrFault):
    """Nothing is known: it may work later. `retry_after` is what Lidarr asked for."""

    reason = "LIDARR_UNAVAILABLE"

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LidarrNotConfigured(LidarrFault):
    """No address or no key is set, or Lidarr is switched off."""

    reason = "LIDARR_NOT_CONFIGURED"


class LidarrRefusedKey(LidarrFault):
    """The key is wrong."""

    reason = "LIDARR_REFUSED_KEY"


class LidarrNotReady(LidarrFault):
    """It has no root folder or no profile that a new artist needs."""

    reason = "LIDARR_NOT_READY"


class LidarrRefused(LidarrFault):
    """It refuses what we ask, and says why."""

    reason = "LIDARR_REFUSED"


class AlbumUnknown(LidarrFault):
    """It knows no such album."""

    reason = "ALBUM_UNKNOWN_TO_LIDARR"


class AlbumAmbiguous(LidarrFault):
    """Artist and title do not name exactly one album."""

    reason = "ALBUM_AMBIGUOUS"


class CommandState(StrEnum):
    """How a command of ours goes. GONE: Lidarr has forgotten it."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    BROKEN = "BROKEN"
    GONE = "GONE"


class HistoryEvent(StrEnum):
    """The kinds of history rows that tell us something."""

    GRABBED = "grabbed"
    FILE_IMPORTED = "trackFileImported"
    DOWNLOAD_FAILED = "downloadFailed"
    IMPORT_INCOMPLETE = "albumImportIncomplete"
    IMPORTED = "downloadImported"


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarrAlbum:
    """An album in Lidarr's library, with its release group's MBID."""

    id: int
    release_group_mbid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """A fact in Lidarr's history; ids grow with time. `search` says of a grab that a search for this album made it."""

    id: int
    event: HistoryEvent
    download_id: str
    message: str = ""
    download_client: str = ""
    search: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """A download that Lidarr follows. Sizes are bytes; its absence proves nothing."""

    download_id: str
    state: str
    status: str
    messages: tuple[str, ...]
    size: int
    size_left: int
    download_client: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarrTracks:
    """What Lidarr has of the album's monitored release: the only proof that an album is complete."""

    total: int
    present: int
    files: tuple[LibraryFile, ...]

    @property
    def complete(self) -> bool:
        """Every track has a file that is listed."""
        return 0 < self.total == self.present


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What Lidarr shows about one album, read in this order: command, history, queue, tracks.

    Not `whole`: its history or its queue could not be read, so that an empty one means nothing. Not `clients_up`: a
    download client does not answer, and what it has is missing from the queue.
    """

    command: CommandState
    history: tuple[HistoryRow, ...]
    queue: tuple[QueueRow, ...]
    tracks: LidarrTracks
    whole: bool = True
    clients_up: bool = True


class Lidarr(Protocol):
    """A Lidarr server. Every method may raise LidarrUnavailable, LidarrNotConfigured and LidarrRefusedKey."""

    async def prepare(self, album: Album) -> LidarrAlbum:
        """The album, added where it was missing, and monitored.

        Raises AlbumUnknown, AlbumAmbiguous, LidarrNotReady and LidarrRefused.
        """
        ...

    async def tracks(self, album_id: int) -> LidarrTracks:
        """What Lidarr has of the album."""
        ...

    async def last_history_id(self, album_id: int, since: datetime) -> int:
        """The newest row of the album's history since then; 0 without any."""
        ...

    async def search(self, album_id: int) -> int:
        """Tell Lidarr to search for the album; returns the command. A search that runs already is not repeated."""
        ...

    async def discard(self, album_id: int, download_ids: Collection[str]) -> None:
        """Throw these downloads away, with their data, and let Lidarr never take the same release again.

        Lidarr does not search for another one by itself. A download that is gone, or that holds other albums too, is
        left alone. Repeating it does no harm.
        """
        ...

    async def look(self, *, album_id: int, command_id: int | None, since: datetime, after: int) -> Look:
        """What Lidarr shows about the album, with its history since then, behind the row `after`."""
        ...
