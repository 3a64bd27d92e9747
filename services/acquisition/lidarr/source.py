"""A Lidarr server as a source of albums: the order of calls that works, and its answers in our words."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from libs.telemetry.logger import get_logger
from services.acquisition.domain.album import Album, folded
from services.acquisition.domain.files import LibraryFile
from services.acquisition.domain.lidarr import (
    AlbumAmbiguous,
    AlbumUnknown,
    CommandState,
    HistoryEvent,
    HistoryRow,
    LidarrAlbum,
    LidarrNotReady,
    LidarrTracks,
    LidarrUnavailable,
    Look,
    QueueRow,
)
from services.acquisition.lidarr.client import LidarrClient, LidarrGone, LidarrRuleBroken
from services.acquisition.lidarr.reading import understood

log = get_logger()

CLOCK_SKEW = timedelta(days=1)  # Lidarr's clock may differ: ids, not dates, tell what is new

_ALREADY_THERE = frozenset({"AlbumExistsValidator", "ArtistExistsValidator"})
COMMAND_STATES = {
    "queued": CommandState.RUNNING,
    "started": CommandState.RUNNING,
    "completed": CommandState.FINISHED,
}
_EVENTS = {event.value: event for event in HistoryEvent}
_SEARCHED = frozenset({"search", "userinvokedsearch"})  # not by a feed, nor by a person who picked a release
_CLIENT_CHECKS = frozenset({"DownloadClientCheck", "DownloadClientStatusCheck"})
_DISCARDED = {"removeFromClient": "true", "blocklist": "true", "skipRedownload": "true", "changeCategory": "false"}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarrChoices:
    """What a new artist gets; None leaves it to Lidarr's root folder."""

    root_folder: str | None = None
    quality_profile_id: int | None = None
    metadata_profile_id: int | None = None


class LidarrSource:
    """Implements `domain.lidarr.Lidarr` over HTTP."""

    def __init__(self, client: LidarrClient, *, choices: Callable[[], LidarrChoices]) -> None:
        self._client = client
        self._choices = choices

    @understood
    async def prepare(self, album: Album) -> LidarrAlbum:
        """The album, added where it was missing, and monitored."""
        mbid = album.release_group_mbid
        if mbid is None:
            mbid = _only_match(album, await self._lookup(f"{album.artist} {album.title}"))
        mbid = mbid.lower()
        found = await self._find(mbid) or await self._add(mbid)
        if not found.get("monitored"):
            await self._client.put("/album/monitor", {"albumIds": [found["id"]], "monitored": True})
        return LidarrAlbum(id=int(found["id"]), release_group_mbid=mbid)

    @understood
    async def tracks(self, album_id: int) -> LidarrTracks:
        """What Lidarr has of the album's monitored release."""
        tracks = await self._client.rows("/track", {"albumId": album_id})
        files = await self._client.rows("/trackfile", {"albumId": album_id})
        return _tracks(tracks, files)

    @understood
    async def last_history_id(self, album_id: int, since: datetime) -> int:
        """The newest row of the album's history since then; 0 without any."""
        return max((row["id"] for row in await self._history(album_id, since)), default=0)

    @understood
    async def search(self, album_id: int) -> int:
        """Tell Lidarr to search; a search for the album that waits or runs already is taken over."""
        for command in await self._client.rows("/command"):
            if _searches(command, album_id) and COMMAND_STATES.get(command["status"]) is CommandState.RUNNING:
                return int(command["id"])
        made = await self._client.post("/command", {"name": "AlbumSearch", "albumIds": [album_id]})
        return int(made["id"])

    @understood
    async def discard(self, album_id: int, download_ids: Collection[str]) -> None:
        """Remove downloads and block their releases, without a search of Lidarr's own (it would race with ours)."""
        rows = await self._client.rows("/queue/details", {"includeAlbum": "false"})
        for download_id in download_ids:
            concerned = [row for row in rows if row.get("downloadId") == download_id]
            if concerned and all(row.get("albumId") == album_id for row in concerned):
                await self._discard(int(concerned[0]["id"]), download_id)

    async def _discard(self, row_id: int, download_id: str) -> None:
        try:
            await self._client.delete(f"/queue/{row_id}", _DISCARDED)
        except LidarrGone:  # somebody was faster
            return
        log.info("lidarr.download_discarded", download=download_id)

    @understood
    async def look(self, *, album_id: int, command_id: int | None, since: datetime, after: int) -> Look:
        """What Lidarr shows about the album."""
        command = await self._command(command_id)
        history = await _unless_unreadable(self._history(album_id, since))
        queue = await _unless_unreadable(self._client.rows("/queue/details", {"includeAlbum": "false"}))
        new = [row for row in history or () if row["id"] > after and row.get("eventType") in _EVENTS]
        queued = tuple(_queue_row(row) for row in queue or () if row.get("albumId") == album_id)
        return Look(
            command=command,
            history=tuple(_history_row(row) for row in new),
            queue=queued,
            tracks=await self.tracks(album_id),
            whole=history is not None and queue is not None,
            clients_up=bool(queued) or await self._clients_up(),
        )

    async def _clients_up(self) -> bool:
        """Whether Lidarr reaches all its download clients, as its health checks say."""
        health = await _unless_unreadable(self._client.rows("/health"))
        return health is not None and not any(row.get("source") in _CLIENT_CHECKS for row in health)

    async def _lookup(self, term: str) -> list[Row]:
        found: list[Row] = await self._client.rows("/album/lookup", {"term": term})
        return found

    async def _find(self, mbid: str) -> Row | None:
        found: list[Row] = await self._client.rows("/album", {"foreignAlbumId": mbid})
        return found[0] if found else None

    async def _add(self, mbid: str) -> Row:
        album = await self._looked_up(mbid)
        artist = await self._new_artist(album["artist"], mbid)
        body = {**album, "artist": artist, "monitored": True, "addOptions": {"searchForNewAlbum": False}}
        try:
            added: Row = await self._client.post("/album", body)
        except LidarrRuleBroken as error:
            if "MusicbrainzId" in error.fields:
                raise AlbumUnknown(f"Lidarr's metadata has no release group {mbid}.") from error
            if not error.codes & _ALREADY_THERE or (there := await self._find(mbid)) is None:
                raise
            return there
        return added

    async def _looked_up(self, mbid: str) -> Row:
        for album in await self._lookup(f"lidarr:{mbid}"):
            if str(album.get("foreignAlbumId", "")).lower() == mbid:
                return album
        raise AlbumUnknown(f"Lidarr's metadata has no release group {mbid}.")

    async def _new_artist(self, artist: Row, mbid: str) -> dict[str, Any]:
        """The artist as Lidarr adds it: this one album is wanted, and nothing else of the artist, now or later."""
        root = await self._root_folder()
        choices = self._choices()
        quality = choices.quality_profile_id or root.get("defaultQualityProfileId")
        metadata = choices.metadata_profile_id or root.get("defaultMetadataProfileId")
        return {
            **artist,
            "qualityProfileId": quality or await self._first("/qualityprofile"),
            "metadataProfileId": metadata or await self._first("/metadataprofile"),
            "rootFolderPath": root["path"],
            "monitored": True,
            "monitorNewItems": "none",
            "addOptions": {
                "monitor": "existing",
                "albumsToMonitor": [mbid],
                "monitored": True,
                "searchForMissingAlbums": False,
            },
        }

    async def _root_folder(self) -> Row:
        roots: list[Row] = await self._client.rows("/rootfolder")
        wanted = self._choices().root_folder
        for root in roots:
            if _same_path(root["path"], wanted) if wanted else root.get("accessible"):
                return root
        if wanted:
            raise LidarrNotReady(f"Lidarr has no root folder {wanted}: correct lidarr.rootFolder or add it in Lidarr.")
        raise LidarrNotReady("Lidarr has no accessible root folder: add one in Lidarr, Settings, Media Management.")

    async def _first(self, profiles: str) -> int:
        found: list[Row] = await self._client.rows(profiles)
        if not found:
            raise LidarrNotReady(f"Lidarr has no {profiles.removeprefix('/')}: add one in Lidarr, Settings, Profiles.")
        return int(found[0]["id"])

    async def _command(self, command_id: int | None) -> CommandState:
        if command_id is None:
            return CommandState.GONE
        try:
            command = await self._client.get(f"/command/{command_id}")
        except LidarrGone:
            return CommandState.GONE
        return COMMAND_STATES.get(command["status"], CommandState.BROKEN)

    async def _history(self, album_id: int, since: datetime) -> list[Row]:
        date = (since - CLOCK_SKEW).strftime("%Y-%m-%dT%H:%M:%SZ")
        rows = await self._client.rows("/history/since", {"date": date, "includeAlbum": "false"})
        return sorted((row for row in rows if row.get("albumId") == album_id), key=_id)


async def _unless_unreadable(reading: Awaitable[list[Row]]) -> list[Row] | None:
    """The rows, or None: one album with two monitored releases makes the whole queue unreadable (500)."""
    try:
        return await reading
    except (LidarrUnavailable, LidarrGone) as error:
        log.warning("lidarr.unreadable", why=str(error))
        return None


def _id(row: Row) -> int:
    return int(row["id"])


def _only_match(album: Album, found: Iterable[Row]) -> str:
    wanted = (folded(album.artist), folded(album.title))
    matches = {
        str(row["foreignAlbumId"]).lower()
        for row in found
        if (folded(row.get("artist", {}).get("artistName", "")), folded(row.get("title", ""))) == wanted
    }
    if len(matches) != 1:
        raise AlbumAmbiguous(
            f"{len(matches) or 'no'} albums in Lidarr's metadata are named exactly {album.artist}: {album.title}. "
            "Ask again with the MusicBrainz release group id."
        )
    return matches.pop()


def _searches(command: Row, album_id: int) -> bool:
    body = command.get("body") or {}
    return command.get("name") == "AlbumSearch" and album_id in (body.get("albumIds") or command.get("albumIds") or [])


def _same_path(one: str, other: str | None) -> bool:
    return other is not None and one.rstrip("/\\") == other.rstrip("/\\")


def _tracks(tracks: Iterable[Row], files: Iterable[Row]) -> LidarrTracks:
    wanted, found = list(tracks), list(files)
    ids = {file["id"] for file in found if file.get("size", 0) > 0}
    present = [track for track in wanted if track.get("hasFile") and track.get("trackFileId") in ids]
    return LidarrTracks(total=len(wanted), present=len(present), files=library_files(present, found))


def library_files(tracks: Iterable[Row], files: Iterable[Row]) -> tuple[LibraryFile, ...]:
    """The files of these tracks, as Lidarr sees them; one that holds several tracks counts once."""
    found = {file["id"]: file for file in files}
    used = dict.fromkeys(track["trackFileId"] for track in tracks if track.get("trackFileId") in found)
    return tuple(LibraryFile(path=str(found[each]["path"]), size=int(found[each]["size"])) for each in used)


def _history_row(row: Row) -> HistoryRow:
    data = row.get("data") or {}
    return HistoryRow(
        id=int(row["id"]),
        event=_EVENTS[row["eventType"]],
        download_id=row.get("downloadId") or "",
        message=data.get("message") or data.get("statusMessages") or "",
        download_client=data.get("downloadClient") or "",
        search=str(data.get("releaseSource", "")).lower() in _SEARCHED,
    )


def _queue_row(row: Row) -> QueueRow:
    messages = [text for entry in row.get("statusMessages") or [] for text in entry.get("messages") or []]
    return QueueRow(
        download_id=row.get("downloadId") or "",
        state=row.get("trackedDownloadState") or "",
        status=row.get("trackedDownloadStatus") or "",
        messages=tuple(filter(None, [row.get("errorMessage"), *messages])),
        size=int(row.get("size") or 0),
        size_left=int(row.get("sizeleft") or 0),
        download_client=row.get("downloadClient") or "",
    )
