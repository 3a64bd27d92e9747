"""The pretended Lidarr's manual import: files from anywhere on its disk, with the mapping that the caller gives."""

import asyncio
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mutagen

from deploy.demo.lidarr import bodies, resources
from deploy.demo.lidarr.commands import Verdict
from deploy.demo.lidarr.history import History, HistoryEvent
from deploy.demo.lidarr.library import Library, LibraryAlbum, LibraryTrack
from deploy.demo.lidarr.notifications import Notifications
from deploy.demo.lidarr.resources import QUALITY, Json
from libs.clock import Clock

_read_tags: Callable[..., Any] = mutagen.File  # mutagen has no annotations
_AUDIO = frozenset({".flac", ".mp3", ".m4a", ".ogg", ".opus", ".wav", ".aiff"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mapping:
    """One file of a command: it becomes the file of these tracks."""

    path: Path
    album: LibraryAlbum
    tracks: list[LibraryTrack]


class ManualImports:
    """Looks at folders, and moves files into artists' folders. `refused` makes it import nothing."""

    def __init__(self, library: Library, history: History, notifications: Notifications, clock: Clock) -> None:
        self.refused = False
        self._library, self._history, self._notifications, self._clock = library, history, notifications, clock

    def candidates(self, folder: Path) -> list[Json]:
        """What `GET /manualimport` says of a folder: which file would be which track, and what speaks against it."""
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _AUDIO) if folder.is_dir() else []
        return [self._candidate(number, path) for number, path in enumerate(files, start=1)]

    async def run(self, parameters: Mapping[str, Any]) -> Verdict:
        """What the command `ManualImport` does. Files that are not there are passed over, and nobody is told."""
        if self.refused:
            return Verdict(successful=False, message="Import failed")
        replaces = bool(parameters.get("replaceExistingFiles"))
        mappings = [found for file in parameters.get("files", []) if (found := self._mapping(file)) is not None]
        for album in {mapping.album.id: mapping.album for mapping in mappings}.values():
            wanted = [mapping for mapping in mappings if mapping.album is album]
            await self._import(album, wanted, replaces=replaces, moves=parameters.get("importMode") != "copy")
        return Verdict(successful=bool(mappings), message=f"Manually imported {len(mappings)} files")

    def _mapping(self, file: Mapping[str, Any]) -> _Mapping | None:
        """Raises KeyError for an album that is not there: the command fails."""
        album, path = self._library.albums[file["albumId"]], Path(file["path"])
        tracks = [track for track in album.tracks if track.id in file["trackIds"]]
        return _Mapping(path=path, album=album, tracks=tracks) if path.is_file() and tracks else None

    async def _import(self, album: LibraryAlbum, mappings: list[_Mapping], *, replaces: bool, moves: bool) -> None:
        artist = self._library.artists[album.artist_id]
        replaced = self._library.remove_files(album) if replaces else []
        folder = artist.path / f"{album.source.title} ({album.source.year})"
        files = []
        for mapping in mappings:
            target = folder / f"{album.source.title} - {mapping.tracks[0].source.number:02}{mapping.path.suffix}"
            await asyncio.to_thread(_transfer, mapping.path, target, moves=moves)
            for track in mapping.tracks:
                file = self._library.add_file(album, track, target, scene_name="", at=self._clock.now())
                self._write(album, track, mapping.path, target)
                files.append(file)
        if replaces:  # else nobody is told
            tracks = [track for mapping in mappings for track in mapping.tracks]
            told = bodies.download(artist, album, tracks=tracks, files=files, replaced=replaced, download_id=None)
            await self._notifications.tell(told)

    def _write(self, album: LibraryAlbum, track: LibraryTrack, dropped: Path, imported: Path) -> None:
        data = {"droppedPath": str(dropped), "importedPath": str(imported), "size": str(imported.stat().st_size)}
        event, title = HistoryEvent.TRACK_FILE_IMPORTED, dropped.parent.name
        self._history.write(event, album, title=title, download_id=None, data=data, track_id=track.id)

    def _candidate(self, number: int, path: Path) -> Json:
        album, track = self._recognised(path)
        told: Json = {
            "id": number,
            "path": str(path),
            "name": path.stem,
            "size": path.stat().st_size,
            "albumReleaseId": album.id * 10 if album else 0,
            "tracks": [resources.track(album, track)] if album and track else [],
            "quality": QUALITY,
            "qualityWeight": 1,
            "indexerFlags": 0,
            "rejections": [] if track else [{"reason": "Couldn't find similar album", "type": "permanent"}],
            "additionalFile": False,
            "replaceExistingFiles": False,
            "disableReleaseSwitching": False,
        }
        if album:
            artist = self._library.artists[album.artist_id]
            told |= {"artist": resources.artist(self._library, artist), "album": resources.album(self._library, album)}
        return told

    def _recognised(self, path: Path) -> tuple[LibraryAlbum | None, LibraryTrack | None]:
        tags = _read_tags(path, easy=True) or {}
        title, number = (tags.get("album") or [""])[0], (tags.get("tracknumber") or [""])[0].partition("/")[0]
        album = next((row for row in self._library.albums.values() if row.source.title == title), None)
        tracks = album.tracks if album else []
        return album, next((track for track in tracks if str(track.source.number) == number.lstrip("0")), None)


def _transfer(path: Path, target: Path, *, moves: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if moves:
        shutil.move(path, target)
    else:
        shutil.copyfile(path, target)
