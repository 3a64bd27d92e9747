"""The pretended download client and importer: from a grab to files in the library, as each album's scenario says."""

import asyncio
import itertools
import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from deploy.demo.albums import album_files
from deploy.demo.lidarr import bodies
from deploy.demo.lidarr.history import History, HistoryEvent
from deploy.demo.lidarr.library import Library, LibraryAlbum, LibraryTrack, TrackFile
from deploy.demo.lidarr.notifications import Notifications
from deploy.demo.lidarr.resources import QUALITY, Json, stamp
from deploy.demo.lidarr.scenario import Outcome, Scenario
from libs.clock import Clock

_STEPS = 10  # in which a download advances
_REJECTED = ["Has missing tracks", "Album match is not close enough: 64.9% vs 80%"]
_LEFT_OUT = 2  # tracks of a partial import


@dataclass(slots=True, kw_only=True)
class Download:
    """A download that Lidarr tracks; one with several albums has a queue row for each of them."""

    key: int
    client_id: str  # the download client's own name for it
    download_id: str | None  # what Lidarr was told
    title: str
    albums: list[LibraryAlbum]
    outcome: Outcome
    scenario: Scenario
    size: int
    added: datetime
    left: int
    state: str = "downloading"
    status: str = "downloading"
    messages: list[str] = field(default_factory=list)
    is_listed: bool = False
    release_source: str

    def row_id(self, album: LibraryAlbum) -> int:
        """The id of its queue row for an album: a hash, the same after a restart."""
        return zlib.crc32(f"1-{self.client_id}-{album.id}".encode()) & 0x7FFFFFFF


class Downloads:
    """Everything that is, or was, in the download client.

    `client_is_up` false hides all rows from the queue, as a client does that Lidarr cannot reach.
    """

    def __init__(
        self,
        library: Library,
        history: History,
        notifications: Notifications,
        clock: Clock,
        *,
        refresh_seconds: float,
        search_again: Callable[[list[int]], object],
    ) -> None:
        self.client_is_up = True
        self.rows: list[Download] = []
        self.blocklist: list[Download] = []
        self._library, self._history, self._notifications, self._clock = library, history, notifications, clock
        self._refresh_seconds = refresh_seconds
        self._search_again = search_again
        self._keys = itertools.count(1)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._refreshing: set[asyncio.Task[None]] = set()

    async def grab(
        self, albums: list[LibraryAlbum], outcome: Outcome, scenario: Scenario, *, release_source: str
    ) -> Download:
        """Send a release to the download client: a history row for each album and one webhook, then it runs."""
        download = self._new(albums, outcome, scenario, release_source)
        self.rows.append(download)
        told = {"indexer": "Example Indexer", "downloadClient": "qbit", "releaseSource": release_source}
        self._write(HistoryEvent.GRABBED, download, size=str(download.size), protocol="2", **told)
        artist = self._library.artists[albums[0].artist_id]
        title, size, download_id = download.title, download.size, download.download_id
        await self._tell(download, bodies.grab(artist, albums, title=title, size=size, download_id=download_id))
        self.refresh_soon()
        task = asyncio.create_task(self._run(download))
        self._tasks[download.key] = task
        task.add_done_callback(lambda _done: self._tasks.pop(download.key, None))
        return download

    def queue(self) -> list[Json]:
        """The queue's rows: one for each download and album, without what is not listed yet or any more."""
        shown = [download for download in self.rows if download.is_listed] if self.client_is_up else []
        return [_row(download, album) for download in shown for album in download.albums]

    def find(self, row_id: int) -> Download | None:
        """The download that a queue row is about."""
        listed = (download for download in self.rows if download.is_listed)
        return next((entry for entry in listed if any(entry.row_id(album) == row_id for album in entry.albums)), None)

    async def remove(self, download: Download, *, from_client: bool, blocklist: bool, skip_redownload: bool) -> None:
        """What `DELETE /queue/{id}` does; it acts on the whole download."""
        if task := self._tasks.get(download.key):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        download.is_listed = False
        if blocklist and self._history.was_grabbed(download.download_id):
            self.blocklist.append(download)
            await self._fail(download, "Manually marked as failed", skip_redownload=skip_redownload)
        elif not blocklist and not from_client:
            download.state = "ignored"
            self._write(HistoryEvent.DOWNLOAD_IGNORED, download, message="Manually ignored")
        self.rows.remove(download)

    def restart(self) -> None:
        """As after a restart of Lidarr: the queue is empty until the clients have been asked."""
        for download in self.rows:
            download.is_listed = False
        self.refresh_soon()

    def refresh_soon(self) -> None:
        """Ask the download client, a little later, what it has."""
        task = asyncio.create_task(self._refresh())
        self._refreshing.add(task)
        task.add_done_callback(self._refreshing.discard)

    async def close(self) -> None:
        """Stop all that is running."""
        tasks = [*self._tasks.values(), *self._refreshing]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _refresh(self) -> None:
        await asyncio.sleep(self._refresh_seconds)
        for download in self.rows:
            download.is_listed = download.state not in ("imported", "downloadFailed", "ignored")

    async def _run(self, download: Download) -> None:
        for step in range(_STEPS):
            download.left = download.size * (_STEPS - step) // _STEPS
            await asyncio.sleep(download.scenario.download_seconds / _STEPS)
        download.left, download.status = 0, "completed"
        if download.outcome is Outcome.DOWNLOAD_FAILURE:
            await self._fail(download, "The download client gave up", skip_redownload=False)
        elif download.outcome is Outcome.IMPORT_BLOCKED:
            download.state, download.messages = "importBlocked", ["Unable to parse the artist, a person must decide"]
        else:
            await self._import(download)

    async def _fail(self, download: Download, message: str, *, skip_redownload: bool) -> None:
        download.state, download.is_listed = "downloadFailed", False
        self._write(HistoryEvent.DOWNLOAD_FAILED, download, message=message, size=str(download.size))
        if download.download_id:
            told = bodies.download_failure(title=download.title, download_id=download.download_id)
            await self._tell(download, told)
        if not skip_redownload:
            self._search_again([album.id for album in download.albums])

    async def _import(self, download: Download) -> None:
        download.state = "importing"
        for album in download.albums:
            self._library.refresh(self._library.artists[album.artist_id])
            await self._import_album(download, album)
        if download.outcome is Outcome.SUCCESS:
            download.state, download.is_listed = "imported", False
            self._write(HistoryEvent.DOWNLOAD_IMPORTED, download, releaseGroup="NONE")
            return
        download.state, download.messages = "importFailed", _REJECTED
        listed = json.dumps([{"title": download.title, "messages": _REJECTED}])
        self._write(HistoryEvent.ALBUM_IMPORT_INCOMPLETE, download, statusMessages=listed)
        await self._tell(download, bodies.import_failure())

    async def _import_album(self, download: Download, album: LibraryAlbum) -> None:
        tracks = _accepted(download.outcome, album)
        if not tracks:
            return
        replaced = self._library.remove_files(album)
        artist = self._library.artists[album.artist_id]
        folder = artist.path / f"{album.source.title} ({album.source.year})"
        files = [
            self._library.add_file(album, track, path, scene_name=download.title, at=self._clock.now())
            for track, path in zip(tracks, _write_files(folder, album, tracks), strict=True)
        ]
        for track, file in zip(tracks, files, strict=True):
            self._write_imported(download, album, track, file)
        told = bodies.download(
            artist, album, tracks=tracks, files=files, replaced=replaced, download_id=download.download_id
        )
        await self._tell(download, told)

    async def _tell(self, download: Download, body: Json) -> None:
        if download.scenario.webhooks_lost:
            self._notifications.dropped.append(body)
        else:
            await self._notifications.tell(body)

    def _write_imported(self, download: Download, album: LibraryAlbum, track: LibraryTrack, file: TrackFile) -> None:
        data = {
            "fileId": str(file.id),
            "importedPath": str(file.path),
            "droppedPath": f"/downloads/{download.title}/{file.path.name}",
            "size": str(file.size),
        }
        title, download_id, event = download.title, download.download_id, HistoryEvent.TRACK_FILE_IMPORTED
        self._history.write(event, album, title=title, download_id=download_id, data=data, track_id=track.id)

    def _write(self, event: HistoryEvent, download: Download, **data: str) -> None:
        for album in download.albums:
            self._history.write(event, album, title=download.title, download_id=download.download_id, data=data)

    def _new(self, albums: list[LibraryAlbum], outcome: Outcome, scenario: Scenario, release_source: str) -> Download:
        key = next(self._keys)
        source = albums[0].source
        client_id = f"{key:08X}{zlib.crc32(source.mbid.encode()):08X}{source.mbid.replace('-', '')[:24]}".upper()
        artist = self._library.artists[albums[0].artist_id]
        size = sum(len(file) for album in albums for file in album_files(album.source))
        return Download(
            key=key,
            client_id=client_id,
            download_id=client_id if scenario.names_download else None,
            title=f"{artist.name} - {source.title} ({source.year}) [FLAC]",
            albums=albums,
            outcome=outcome,
            scenario=scenario,
            size=size,
            left=size,
            added=self._clock.now(),
            release_source=release_source,
        )


def _accepted(outcome: Outcome, album: LibraryAlbum) -> list[LibraryTrack]:
    if outcome is Outcome.IMPORT_FAILURE:
        return []
    return album.tracks[:-_LEFT_OUT] if outcome is Outcome.PARTIAL_IMPORT else album.tracks


def _write_files(folder: Path, album: LibraryAlbum, tracks: Iterable[LibraryTrack]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = dict(zip(album.source.tracks, album_files(album.source), strict=True))
    paths = []
    for track in tracks:
        path = folder / track.source.file_name
        path.write_bytes(files[track.source])
        paths.append(path)
    return paths


def blocklist_row(number: int, download: Download) -> Json:
    """A release that is never taken again."""
    return {
        "id": number,
        "artistId": download.albums[0].artist_id,
        "albumIds": [album.id for album in download.albums],
        "sourceTitle": download.title,
        "quality": QUALITY,
        "customFormats": [],
        "date": stamp(download.added),
        "protocol": "torrent",
        "indexer": "Example Indexer",
        "message": "Manually marked as failed",
    }


def _row(download: Download, album: LibraryAlbum) -> Json:
    told = {
        "id": download.row_id(album),
        "artistId": album.artist_id,
        "albumId": album.id,
        "quality": QUALITY,
        "customFormats": [],
        "customFormatScore": 0,
        "size": download.size,
        "title": download.title,
        "sizeleft": download.left,
        "timeleft": "00:00:01" if download.left else "00:00:00",
        "added": stamp(download.added),
        "status": download.status,
        "trackedDownloadStatus": "warning" if download.messages else "ok",
        "trackedDownloadState": download.state,
        "statusMessages": [{"title": download.title, "messages": download.messages}] if download.messages else [],
        "protocol": "torrent",
        "downloadClient": "qbit",
        "downloadClientHasPostImportCategory": False,
        "indexer": "Example Indexer",
        "outputPath": f"/downloads/{download.title}",
        "trackFileCount": len(album.source.tracks),
        "trackHasFileCount": sum(track.file_id > 0 for track in album.tracks),
        "downloadForced": False,
    }
    return told | ({"downloadId": download.download_id} if download.download_id else {})
