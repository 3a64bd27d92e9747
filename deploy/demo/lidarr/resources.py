"""The shapes of the API's answers: camelCase, nulls omitted, dates in UTC to the second."""

from datetime import UTC, datetime
from typing import Any

from deploy.demo.albums import Album
from deploy.demo.lidarr.library import Artist, Library, LibraryAlbum, LibraryTrack, TrackFile

Json = dict[str, Any]
QUALITY: Json = {"quality": {"id": 6, "name": "FLAC"}, "revision": {"version": 1, "real": 0, "isRepack": False}}


def stamp(at: datetime) -> str:
    """A date as the API writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def artist(library: Library, row: Artist) -> Json:
    """An artist of the library."""
    albums = library.albums_of(row)
    return _artist_fields(row.mbid, row.name) | {
        "id": row.id,
        "path": str(row.path),
        "qualityProfileId": row.quality_profile_id,
        "metadataProfileId": row.metadata_profile_id,
        "monitored": row.monitored,
        "monitorNewItems": row.monitor_new_items,
        "tags": row.tags,
        "added": stamp(row.added),
        "statistics": _statistics(library, albums) | {"albumCount": len(albums)},
    }


def unknown_artist(mbid: str, name: str) -> Json:
    """An artist that a look-up found and the library does not have: its id is 0."""
    return _artist_fields(mbid, name) | {
        "id": 0,
        "qualityProfileId": 0,
        "metadataProfileId": 0,
        "monitored": False,
        "monitorNewItems": "all",
        "folder": name,
        "tags": [],
        "added": "0001-01-01T00:00:00Z",
    }


def album(library: Library, row: LibraryAlbum) -> Json:
    """An album of the library, its artist within."""
    fields = _album_fields(row.source) | {
        "id": row.id,
        "artistId": row.artist_id,
        "monitored": row.monitored,
        "anyReleaseOk": row.any_release_ok,
        "profileId": library.artists[row.artist_id].metadata_profile_id,
        "artist": artist(library, library.artists[row.artist_id]),
        "statistics": _statistics(library, [row]),
        "releases": [_release(row)],
    }
    return fields | ({"lastSearchTime": stamp(row.last_search)} if row.last_search else {})


def unknown_album(library: Library, source: Album) -> Json:
    """An album that a look-up found and the library does not have: its id is 0."""
    known = library.find_artist(source.artist_mbid)
    return _album_fields(source) | {
        "artistId": known.id if known else 0,
        "monitored": False,
        "anyReleaseOk": True,
        "profileId": 0,
        "artist": artist(library, known) if known else unknown_artist(source.artist_mbid, source.artist),
        "releases": [],
    }


def track(row: LibraryAlbum, entry: LibraryTrack) -> Json:
    """A track of an album of the library."""
    return {
        "id": entry.id,
        "artistId": row.artist_id,
        "albumId": row.id,
        "foreignTrackId": entry.source.mbid,
        "foreignRecordingId": entry.source.mbid,
        "trackFileId": entry.file_id,
        "explicit": False,
        "absoluteTrackNumber": entry.source.number,
        "trackNumber": str(entry.source.number),
        "title": entry.source.title,
        "duration": int(entry.source.seconds * 1000),
        "mediumNumber": 1,
        "hasFile": entry.file_id > 0,
        "ratings": {"votes": 0, "value": 0.0},
    }


def track_file(row: TrackFile) -> Json:
    """A file of the library."""
    return {
        "id": row.id,
        "artistId": row.artist_id,
        "albumId": row.album_id,
        "path": str(row.path),
        "size": row.size,
        "dateAdded": stamp(row.added),
        "sceneName": row.scene_name,
        "releaseGroup": "NONE",
        "quality": QUALITY,
        "qualityWeight": 1,
        "customFormats": [],
        "customFormatScore": 0,
        "indexerFlags": 0,
        "qualityCutoffNotMet": False,
    }


def violation(name: str, message: str, attempted: object, code: str) -> Json:
    """One entry of the array that answers a broken rule (400)."""
    return {
        "propertyName": name,
        "errorMessage": message,
        "attemptedValue": attempted,
        "severity": "error",
        "errorCode": code,
        "formattedMessageArguments": [],
        "formattedMessagePlaceholderValues": {"propertyName": name, "propertyValue": attempted},
    }


def _artist_fields(mbid: str, name: str) -> Json:
    return {
        "status": "continuing",
        "ended": False,
        "artistName": name,
        "foreignArtistId": mbid,
        "tadbId": 0,
        "discogsId": 0,
        "overview": "An invented artist.",
        "artistType": "Group",
        "disambiguation": "",
        "links": [],
        "images": [],
        "genres": [],
        "cleanName": "".join(name.lower().split()),
        "sortName": name.lower(),
        "ratings": {"votes": 0, "value": 0.0},
    }


def _album_fields(source: Album) -> Json:
    return {
        "id": 0,
        "title": source.title,
        "disambiguation": "",
        "overview": "",
        "foreignAlbumId": source.mbid,
        "duration": int(sum(entry.seconds for entry in source.tracks) * 1000),
        "albumType": "Album",
        "secondaryTypes": [],
        "mediumCount": 1,
        "ratings": {"votes": 0, "value": 0.0},
        "releaseDate": f"{source.year}-01-01T00:00:00Z",
        "genres": [],
        "media": [{"mediumNumber": 1, "mediumName": "", "mediumFormat": "Digital Media"}],
        "images": [],
        "links": [],
    }


def _release(row: LibraryAlbum) -> Json:
    return {
        "id": row.id * 10,
        "albumId": row.id,
        "foreignReleaseId": row.source.release_mbid,
        "title": row.source.title,
        "status": "Official",
        "duration": int(sum(entry.seconds for entry in row.source.tracks) * 1000),
        "trackCount": len(row.source.tracks),
        "media": [{"mediumNumber": 1, "mediumName": "", "mediumFormat": "Digital Media"}],
        "mediumCount": 1,
        "disambiguation": "",
        "country": [],
        "label": [],
        "format": "Digital Media",
        "monitored": True,
    }


def _statistics(library: Library, albums: list[LibraryAlbum]) -> Json:
    files = [file for row in albums for file in library.files_of(row)]
    tracks = sum(len(row.tracks) for row in albums)
    return {
        "trackFileCount": len(files),
        "trackCount": tracks,
        "totalTrackCount": tracks,
        "sizeOnDisk": sum(file.size for file in files),
        "percentOfTracks": 100.0 * len(files) / tracks if tracks else 0.0,
    }
