"""The pretended Lidarr's library: artists, albums, tracks and files, made from a catalogue of invented albums."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from deploy.demo.albums import Album, Track

QUALITY_PROFILES = {1: "Any", 2: "Lossless"}
METADATA_PROFILES = {1: "Standard", 2: "None"}


@dataclass(slots=True, kw_only=True)
class Artist:
    """An artist of the library."""

    id: int
    mbid: str
    name: str
    path: Path
    quality_profile_id: int
    metadata_profile_id: int
    monitored: bool
    monitor_new_items: str
    monitors_albums: bool  # whether albums that the refresh brings are wanted
    albums_to_monitor: tuple[str, ...]
    added: datetime
    tags: list[int] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class LibraryTrack:
    """A track of an album of the library, and the file that holds it (0 without)."""

    id: int
    source: Track
    file_id: int = 0


@dataclass(slots=True, kw_only=True)
class LibraryAlbum:
    """An album of the library; its tracks appear with the first refresh."""

    id: int
    artist_id: int
    source: Album
    monitored: bool
    any_release_ok: bool = True
    last_search: datetime | None = None
    tracks: list[LibraryTrack] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackFile:
    """A file that was imported."""

    id: int
    artist_id: int
    album_id: int
    path: Path
    size: int
    scene_name: str
    added: datetime


class Library:
    """Everything that Lidarr holds in its database about music, and the upstream catalogue that it learns from."""

    def __init__(self, root: Path, catalogue: Iterable[Album]) -> None:
        self.root = root
        self.catalogue = {album.mbid: album for album in catalogue}
        self.artists: dict[int, Artist] = {}
        self.albums: dict[int, LibraryAlbum] = {}
        self.files: dict[int, TrackFile] = {}
        self._artist_ids, self._album_ids = itertools.count(1), itertools.count(1)
        self._track_ids, self._file_ids = itertools.count(9001), itertools.count(501)

    def find_artist(self, mbid: str) -> Artist | None:
        """The artist with this MusicBrainz id, if the library has it."""
        return next((artist for artist in self.artists.values() if artist.mbid == mbid), None)

    def find_album(self, mbid: str) -> LibraryAlbum | None:
        """The album of this release group, if the library has it."""
        return next((album for album in self.albums.values() if album.source.mbid == mbid), None)

    def known_artist(self, mbid: str) -> str | None:
        """The name that the catalogue has for the artist with this MusicBrainz id."""
        return next((album.artist for album in self.catalogue.values() if album.artist_mbid == mbid), None)

    def albums_of(self, artist: Artist) -> list[LibraryAlbum]:
        """The artist's albums."""
        return [album for album in self.albums.values() if album.artist_id == artist.id]

    def files_of(self, album: LibraryAlbum) -> list[TrackFile]:
        """The album's files, in the order of its tracks."""
        return [self.files[track.file_id] for track in album.tracks if track.file_id]

    def artist_folder(self, name: str, root: Path) -> Path:
        """A folder that no other artist has: the name, with a number behind it if need be."""
        taken = {artist.path for artist in self.artists.values()}
        names = itertools.chain([name], (f"{name} ({number})" for number in itertools.count(1)))
        return next(root / candidate for candidate in names if root / candidate not in taken)

    def add_artist(self, **fields: object) -> Artist:
        """Add an artist; the fields are those of `Artist` without its id."""
        artist = Artist(id=next(self._artist_ids), **fields)  # type: ignore[arg-type]  # checked by the dataclass
        self.artists[artist.id] = artist
        return artist

    def add_album(self, artist: Artist, source: Album, *, monitored: bool) -> LibraryAlbum:
        """Add an album, still without its tracks."""
        album = LibraryAlbum(id=next(self._album_ids), artist_id=artist.id, source=source, monitored=monitored)
        self.albums[album.id] = album
        return album

    def refresh(self, artist: Artist) -> None:
        """Learn from the catalogue: the artist's albums that are missing here, and every album's tracks."""
        for source in self.catalogue.values():
            if source.artist_mbid == artist.mbid and self.find_album(source.mbid) is None:
                monitored = artist.monitors_albums or source.mbid in artist.albums_to_monitor
                self.add_album(artist, source, monitored=monitored)
        for album in self.albums_of(artist):
            if not album.tracks:
                album.tracks = [LibraryTrack(id=next(self._track_ids), source=track) for track in album.source.tracks]

    def add_file(
        self, album: LibraryAlbum, track: LibraryTrack, path: Path, *, scene_name: str, at: datetime
    ) -> TrackFile:
        """Record the file on disk that holds the track."""
        file = TrackFile(
            id=next(self._file_ids),
            artist_id=album.artist_id,
            album_id=album.id,
            path=path,
            size=path.stat().st_size,
            scene_name=scene_name,
            added=at,
        )
        self.files[file.id] = file
        track.file_id = file.id
        return file

    def remove_files(self, album: LibraryAlbum) -> list[TrackFile]:
        """Forget the album's files and delete them from disk; returns what they were."""
        removed = self.files_of(album)
        for track in album.tracks:
            track.file_id = 0
        for file in removed:
            del self.files[file.id]
            file.path.unlink(missing_ok=True)
        return removed
