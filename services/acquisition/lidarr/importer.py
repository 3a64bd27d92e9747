"""Hands verified files to Lidarr, where Lidarr names and keeps the library: its manual import, read back until done.

Level-triggered, without a memory: whoever asks again, after a crash too, finds the command or its result. Lidarr copies
so that what is staged stays until the tracks have their files. A track that has one already is never replaced.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.acquisition.domain.album import Album
from services.acquisition.domain.editions import same_title
from services.acquisition.domain.files import LibraryFile
from services.acquisition.domain.lidarr import CommandState, LidarrAlbum, LidarrRefused
from services.acquisition.library import StagedFileMissing
from services.acquisition.lidarr.client import LidarrClient
from services.acquisition.lidarr.reading import understood
from services.acquisition.lidarr.source import COMMAND_STATES, LidarrSource, library_files

_COMMAND = "ManualImport"
_UNKNOWN_QUALITY = {"quality": {"id": 0, "name": "Unknown"}, "revision": {"version": 1, "real": 0, "isRepack": False}}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedTrack:
    """A verified file, and the track of the album that it holds."""

    path: Path
    size: int
    disc: int
    number: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Underway:
    """The import is still to come, or on its way: `sign` changes with every track that arrives."""

    sign: str


class LidarrImporter:
    """Imports through the Lidarr of the moment. `as_seen` tells a path of ours in Lidarr's spelling."""

    def __init__(self, client: LidarrClient, source: LidarrSource, *, as_seen: Callable[[Path], str]) -> None:
        self._client = client
        self._source = source
        self._as_seen = as_seen

    @understood
    async def hand_over(self, album: Album, staged: Sequence[StagedTrack]) -> tuple[LibraryFile, ...] | Underway:
        """The files in Lidarr's library once every track has one; until then ask again.

        Raises LidarrUnavailable for an outage, LidarrRefused where Lidarr imported nothing or has other tracks,
        StagedFileMissing, and what `Lidarr.prepare` raises.
        """
        known = await self._source.prepare(album)
        paths = {self._as_seen(track.path) for track in staged}
        command = await self._command(paths)  # before the tracks: else it might end between both looks
        tracks: list[Row] = await self._client.rows("/track", {"albumId": known.id})
        if not tracks:  # a new album gets its tracks a moment later
            return Underway(sign="")
        places = _places(tracks)
        wanted = [_track_of(one, places) for one in staged]
        if all(track.get("hasFile") for track in wanted):
            return library_files(wanted, await self._client.rows("/trackfile", {"albumId": known.id}))
        if command is None:
            await self._import(known, [(one, row) for one, row in zip(staged, wanted, strict=True) if _is_open(row)])
        elif command is not CommandState.RUNNING:
            raise LidarrRefused(f"Lidarr imported nothing: {await self._objections(staged)}")
        return Underway(sign=f"{sum(not _is_open(track) for track in tracks)} of {len(tracks)}")

    async def _command(self, paths: set[str]) -> CommandState | None:
        """How the newest import of these files goes, None where there was none."""
        commands: list[Row] = await self._client.rows("/command")
        ours = [row for row in commands if row.get("name") == _COMMAND and not paths.isdisjoint(_paths(row))]
        if not ours:
            return None
        newest = max(ours, key=lambda row: int(row["id"]))
        return COMMAND_STATES.get(newest["status"], CommandState.BROKEN)

    async def _import(self, album: LidarrAlbum, staged: Sequence[tuple[StagedTrack, Row]]) -> None:
        await asyncio.to_thread(_require_staged, [one for one, _ in staged])
        row = await self._client.get(f"/album/{album.id}")
        release = next((one["id"] for one in row.get("releases", ()) if one.get("monitored")), None)
        qualities = {one["path"]: one.get("quality") for one in await self._candidates([one for one, _ in staged])}
        files = [
            {
                "path": (path := self._as_seen(one.path)),
                "artistId": row["artistId"],
                "albumId": album.id,
                "albumReleaseId": release,
                "trackIds": [track["id"]],
                "quality": qualities.get(path) or _UNKNOWN_QUALITY,
                "disableReleaseSwitching": True,
            }
            for one, track in staged
        ]
        body = {"name": _COMMAND, "importMode": "copy", "replaceExistingFiles": False, "files": files}
        await self._client.post("/command", body)

    async def _candidates(self, staged: Iterable[StagedTrack]) -> list[Row]:
        folders = sorted({self._as_seen(one.path.parent) for one in staged})
        asked = [{"folder": folder, "filterExistingFiles": "false"} for folder in folders]
        return [row for query in asked for row in await self._client.rows("/manualimport", query)]

    async def _objections(self, staged: Sequence[StagedTrack]) -> str:
        rows = await self._candidates(staged)
        if not rows:
            return "it sees no file there. Check that lidarr.downloadPath is the downloads folder as Lidarr sees it."
        reasons = [one.get("reason", "") for row in rows for one in row.get("rejections") or ()]
        return "; ".join(dict.fromkeys(filter(None, reasons))) or "it does not say why. Look into Lidarr's log."


def _require_staged(staged: Iterable[StagedTrack]) -> None:
    """The wait for Lidarr may have been long: this is still what was verified, as far as sizes tell."""
    for one in staged:
        if not one.path.is_file() or one.path.stat().st_size != one.size:
            raise StagedFileMissing(f"The verified file {one.path} is gone or has changed. Retry to fetch it again.")


def _places(tracks: Iterable[Row]) -> dict[tuple[int, int], Row]:
    """The tracks by disc and number on it: Lidarr numbers those of a vinyl A1 to B6."""
    places: dict[tuple[int, int], Row] = {}
    last: dict[int, int] = {}
    for row in sorted(tracks, key=lambda row: int(row["absoluteTrackNumber"])):
        disc = int(row.get("mediumNumber") or 1)
        last[disc] = last.get(disc, 0) + 1
        places[disc, last[disc]] = row
    return places


def _track_of(staged: StagedTrack, places: Mapping[tuple[int, int], Row]) -> Row:
    place = f"track {staged.number} of disc {staged.disc}"
    if (row := places.get((staged.disc, staged.number))) is None:
        raise LidarrRefused(
            f"The edition that Lidarr monitors has no {place}: choose another release in Lidarr, then retry."
        )
    if not same_title(staged.title, str(row["title"])) and _is_among(staged.title, places.values()):
        raise LidarrRefused(
            f'The edition that Lidarr monitors has "{row["title"]}" as {place}, where ours has "{staged.title}": '
            "choose another release in Lidarr, then retry."
        )
    return row


def _is_among(title: str, tracks: Iterable[Row]) -> bool:
    return any(same_title(title, str(row["title"])) for row in tracks)


def _is_open(track: Row) -> bool:
    return not track.get("hasFile")


def _paths(command: Row) -> set[str]:
    body = command.get("body") or {}
    return {str(file.get("path")) for file in body.get("files") or command.get("files") or ()}
