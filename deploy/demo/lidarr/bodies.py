"""The bodies of Lidarr's webhooks, field for field as it sends them (nulls are left out)."""

from collections.abc import Sequence

from deploy.demo.lidarr.library import Artist, LibraryAlbum, LibraryTrack, TrackFile
from deploy.demo.lidarr.resources import Json, stamp

INSTANCE = "Lidarr"
DOWNLOAD_CLIENT = {"downloadClient": "qbit", "downloadClientType": "qBittorrent"}


def test() -> Json:
    """Sent when a webhook is saved or tested; its ids are made up, and its mbId is no UUID."""
    artist = {
        "id": 1,
        "name": "Test Name",
        "path": "C:\\testpath",
        "mbId": "aaaaa-aaa-aaaa-aaaaaa",
        "tags": ["test-tag"],
    }
    return _event("Test") | {"artist": artist, "albums": [{"id": 123, "title": "Test title"}]}


def grab(artist: Artist, albums: Sequence[LibraryAlbum], *, title: str, size: int, download_id: str | None) -> Json:
    """A release was sent to the download client."""
    release = {
        "quality": "FLAC",
        "qualityVersion": 1,
        "releaseGroup": "NONE",
        "releaseTitle": title,
        "indexer": "Example Indexer",
        "size": size,
        "customFormatScore": 0,
        "customFormats": [],
    }
    told = _event("Grab") | {"artist": _artist(artist), "albums": [_album(album) for album in albums]}
    return told | {"release": release} | DOWNLOAD_CLIENT | _download_id(download_id)


def download(
    artist: Artist,
    album: LibraryAlbum,
    *,
    tracks: Sequence[LibraryTrack],
    files: Sequence[TrackFile],
    replaced: Sequence[TrackFile],
    download_id: str | None,
) -> Json:
    """Files of one album were imported; what they replaced is told for an upgrade only."""
    told = _event("Download") | {
        "artist": _artist(artist),
        "album": _album(album),
        "tracks": [_track(track) for track in tracks],
        "trackFiles": [_file(file) for file in files],
        "isUpgrade": bool(replaced),
    }
    deleted = {"deletedFiles": [_file(file) for file in replaced]} if replaced else {}
    return told | DOWNLOAD_CLIENT | _download_id(download_id) | deleted


def download_failure(*, title: str, download_id: str) -> Json:
    """The download client gave up, or somebody marked the download as failed. Artist and album are not told."""
    told = {"quality": "FLAC", "qualityVersion": 1, "releaseTitle": title, "downloadClient": "qbit"}
    return _event("DownloadFailure") | told | {"downloadId": download_id}


def import_failure() -> Json:
    """Something could not be imported; what it was is not told."""
    return _event("ImportFailure") | {"tracks": [], "trackFiles": [], "isUpgrade": False}


def artist_add(artist: Artist) -> Json:
    """An artist came into the library."""
    return _event("ArtistAdd") | {"artist": _artist(artist)}


def _event(kind: str) -> Json:
    return {"eventType": kind, "instanceName": INSTANCE, "applicationUrl": ""}


def _download_id(download_id: str | None) -> Json:
    return {"downloadId": download_id} if download_id else {}


def _artist(artist: Artist) -> Json:
    return {
        "id": artist.id,
        "name": artist.name,
        "disambiguation": "",
        "path": str(artist.path),
        "mbId": artist.mbid,
        "type": "Group",
        "overview": "An invented artist.",
        "genres": [],
        "images": [],
        "tags": [],
    }


def _album(album: LibraryAlbum) -> Json:
    return {
        "id": album.id,
        "mbId": album.source.mbid,
        "title": album.source.title,
        "disambiguation": "",
        "overview": "",
        "albumType": "Album",
        "secondaryAlbumTypes": [],
        "releaseDate": f"{album.source.year}-01-01T00:00:00Z",
        "genres": [],
        "images": [],
    }


def _track(track: LibraryTrack) -> Json:
    return {"id": track.id, "title": track.source.title, "trackNumber": str(track.source.number), "qualityVersion": 0}


def _file(file: TrackFile) -> Json:
    return {
        "id": file.id,
        "path": str(file.path),
        "quality": "FLAC",
        "qualityVersion": 1,
        "releaseGroup": "NONE",
        "sceneName": file.scene_name,
        "size": file.size,
        "dateAdded": stamp(file.added),
    }
