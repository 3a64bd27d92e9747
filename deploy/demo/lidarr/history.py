"""The pretended Lidarr's history: what happened to albums and tracks, oldest first."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from deploy.demo.lidarr.library import LibraryAlbum
from deploy.demo.lidarr.resources import QUALITY, Json, stamp
from libs.clock import Clock


class HistoryEvent(IntEnum):
    """The kinds of history that this Lidarr writes; 3 is per track, the others are per album."""

    GRABBED = 1
    TRACK_FILE_IMPORTED = 3
    DOWNLOAD_FAILED = 4
    TRACK_FILE_DELETED = 5
    ALBUM_IMPORT_INCOMPLETE = 7
    DOWNLOAD_IMPORTED = 8
    DOWNLOAD_IGNORED = 10


_NAMES = {
    HistoryEvent.GRABBED: "grabbed",
    HistoryEvent.TRACK_FILE_IMPORTED: "trackFileImported",
    HistoryEvent.DOWNLOAD_FAILED: "downloadFailed",
    HistoryEvent.TRACK_FILE_DELETED: "trackFileDeleted",
    HistoryEvent.ALBUM_IMPORT_INCOMPLETE: "albumImportIncomplete",
    HistoryEvent.DOWNLOAD_IMPORTED: "downloadImported",
    HistoryEvent.DOWNLOAD_IGNORED: "downloadIgnored",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One thing that happened. Every value in `data` is a string."""

    id: int
    event: HistoryEvent
    album_id: int
    artist_id: int
    track_id: int
    title: str
    download_id: str | None
    date: datetime
    data: dict[str, str]

    def resource(self) -> Json:
        """The row as the API tells it."""
        told = {
            "id": self.id,
            "albumId": self.album_id,
            "artistId": self.artist_id,
            "trackId": self.track_id,
            "sourceTitle": self.title,
            "quality": QUALITY,
            "customFormats": [],
            "customFormatScore": 0,
            "qualityCutoffNotMet": False,
            "date": stamp(self.date),
            "eventType": _NAMES[self.event],
            "data": self.data,
        }
        return told | ({"downloadId": self.download_id} if self.download_id else {})


class History:
    """Rows in the order in which they were written."""

    def __init__(self, clock: Clock) -> None:
        self.rows: list[HistoryRow] = []
        self._clock = clock
        self._ids = itertools.count(1)

    def write(
        self,
        event: HistoryEvent,
        album: LibraryAlbum,
        *,
        title: str,
        download_id: str | None,
        data: dict[str, str],
        track_id: int = 0,
    ) -> None:
        """Add a row about an album, or about one of its tracks (`track_id`)."""
        row = HistoryRow(
            id=next(self._ids),
            event=event,
            album_id=album.id,
            artist_id=album.artist_id,
            track_id=track_id,
            title=title,
            download_id=download_id,
            date=self._clock.now(),
            data={"downloadClient": "qbit"} | data,
        )
        self.rows.append(row)

    def was_grabbed(self, download_id: str | None) -> bool:
        """Whether this Lidarr has sent the download to its client."""
        return any(row.event is HistoryEvent.GRABBED and row.download_id == download_id for row in self.rows)

    def since(self, date: datetime, events: frozenset[int] = frozenset()) -> Iterator[HistoryRow]:
        """Rows of this date and later, oldest first; of some kinds only, if any are given."""
        return (row for row in self.rows if row.date >= date and (not events or row.event in events))
