"""Webhooks as Lidarr sends them: one body of each of its thirteen types, and deliveries around them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from services.webhooks.domain.delivery import Delivery, Header

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DOWNLOAD_ID = "0F1E2D3C4B5A69788796A5B4C3D2E1F001122334"
MBID = "22222222-2222-4222-8222-222222222222"

Body = dict[str, object]

_COMMON: Body = {"instanceName": "Lidarr", "applicationUrl": ""}
_ARTIST: Body = {
    "id": 42,
    "name": "The Placeholders",
    "disambiguation": "fictional",
    "path": "/music/The Placeholders",
    "mbId": "11111111-1111-4111-8111-111111111111",
    "type": "Group",
    "overview": "An invented band.",
    "genres": ["Indie Rock"],
    "images": [{"coverType": "poster", "url": "/MediaCover/42/poster.jpg"}],
    "tags": ["auto"],
}
_CLIENT: Body = {"downloadClient": "qbit", "downloadClientType": "qBittorrent", "downloadId": DOWNLOAD_ID}
_RELEASE: Body = {
    "quality": "FLAC",
    "qualityVersion": 1,
    "releaseGroup": "NONE",
    "releaseTitle": "The Placeholders - Sample Data (2021) [FLAC]",
    "indexer": "Example Indexer",
    "size": 314159265,
    "customFormatScore": 0,
    "customFormats": [],
}
_HEALTH: Body = {
    "level": "error",
    "message": "No download client is available",
    "type": "DownloadClientCheck",
    "wikiUrl": "https://wiki.example.invalid/lidarr/system",
}


def album(number: int = 777, mbid: str = MBID) -> Body:
    """An album as events name it."""
    return {
        "id": number,
        "mbId": mbid,
        "title": "Sample Data",
        "disambiguation": "",
        "albumType": "Album",
        "secondaryAlbumTypes": [],
        "releaseDate": "2021-03-05T00:00:00Z",
        "genres": [],
    }


def track_file(number: int = 501) -> Body:
    """An imported file as events name it."""
    return {
        "id": number,
        "path": f"/music/The Placeholders/Sample Data (2021)/{number}.flac",
        "quality": "FLAC",
        "qualityVersion": 1,
        "size": 31415926,
        "dateAdded": "2026-02-14T11:22:33Z",
    }


def event(event_type: str, **fields: object) -> Body:
    """An event of any type; a field that is None is left out, as Lidarr leaves nulls out."""
    fields = {"eventType": event_type, **_COMMON, **fields}
    return {name: value for name, value in fields.items() if value is not None}


def grab(**changes: object) -> Body:
    """A release was sent to a download client."""
    return event("Grab", **{"artist": _ARTIST, "albums": [album()], "release": _RELEASE, **_CLIENT, **changes})


def download(**changes: object) -> Body:
    """The files of one album were imported."""
    tracks = [{"id": 9001, "title": "Null", "trackNumber": "1", "qualityVersion": 0}]
    fields = {"artist": _ARTIST, "album": album(), "tracks": tracks, "trackFiles": [track_file()], "isUpgrade": False}
    return event("Download", **{**fields, **_CLIENT, **changes})


def download_failure(**changes: object) -> Body:
    """A download failed."""
    fields = {"quality": "FLAC", "qualityVersion": 1, "releaseTitle": "The Placeholders - Sample Data", **_CLIENT}
    return event("DownloadFailure", **{**fields, **changes})


def import_failure() -> Body:
    """Files could not be imported; Lidarr does not say which."""
    return event("ImportFailure", tracks=[], trackFiles=[], isUpgrade=False)


BODIES: dict[str, Body] = {
    "Test": event(
        "Test",
        artist={"id": 1, "name": "Test Name", "path": "C:\\testpath", "mbId": "aaaaa-aaa-aaaa-aaaaaa", "tags": []},
        albums=[{"id": 123, "title": "Test title"}],
    ),
    "Grab": grab(),
    "Download": download(),
    "DownloadFailure": download_failure(),
    "ImportFailure": import_failure(),
    "Rename": event("Rename", artist=_ARTIST, renamedTrackFiles=[{**track_file(), "previousPath": "/music/old.flac"}]),
    "Retag": event("Retag", artist=_ARTIST, trackFile=track_file()),
    "ArtistAdd": event("ArtistAdd", artist=_ARTIST),
    "ArtistDelete": event("ArtistDelete", artist=_ARTIST, deletedFiles=True),
    "AlbumDelete": event("AlbumDelete", artist=_ARTIST, album=album(), deletedFiles=False),
    "Health": event("Health", **_HEALTH),
    "HealthRestored": event("HealthRestored", **{**_HEALTH, "applicationUrl": None}),
    "ApplicationUpdate": event("ApplicationUpdate", message="updated", previousVersion="2.14.4", newVersion="2.14.5"),
}


def encode(body: Body) -> bytes:
    """The bytes on the wire: Lidarr indents its JSON."""
    return json.dumps(body, indent=2).encode()


def delivery(
    body: bytes | Body,
    *,
    source: str = "lidarr",
    headers: Sequence[tuple[str, str]] = (("content-type", "application/json"),),
    received_at: datetime = NOON,
    remote_address: str = "127.0.0.1",
    url_secret: str = "",
) -> Delivery:
    """A delivery of this body, from this machine unless told otherwise."""
    return Delivery(
        source=source,
        headers=tuple(Header(name=name, value=value) for name, value in headers),
        body=body if isinstance(body, bytes) else encode(body),
        received_at=received_at,
        remote_address=remote_address,
        url_secret=url_secret,
    )
