"""What Lidarr sends: thirteen types of events, of which four tell a fact about an acquisition.

The shapes are those of Lidarr's own webhook classes. Nulls are left out, fields may be added at any time, and an
ImportFailure names nothing at all.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from services.webhooks.domain.document import Document, UnreadableBody, identifier, objects, read_document, text

_MAX_DOWNLOAD_ID = 500
_MAX_CLIENT = 200


class FactKind(StrEnum):
    """What Lidarr did."""

    GRABBED = "GRABBED"
    IMPORTED = "IMPORTED"
    DOWNLOAD_FAILED = "DOWNLOAD_FAILED"
    IMPORT_FAILED = "IMPORT_FAILED"


FACT_KINDS = {
    "Grab": FactKind.GRABBED,
    "Download": FactKind.IMPORTED,
    "DownloadFailure": FactKind.DOWNLOAD_FAILED,
    "ImportFailure": FactKind.IMPORT_FAILED,
}
QUIET_TYPES = frozenset(
    {
        "Test",
        "Health",
        "HealthRestored",
        "ApplicationUpdate",
        "ArtistAdd",
        "ArtistDelete",
        "AlbumDelete",
        "Rename",
        "Retag",
    }
)
EVENT_TYPES = QUIET_TYPES | FACT_KINDS.keys()


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarrFact:
    """Something that Lidarr did, with every id that the event names; an IMPORT_FAILED names none."""

    kind: FactKind
    album_ids: tuple[int, ...] = ()
    release_group_mbids: tuple[str, ...] = ()
    download_id: str = ""
    download_client: str = ""


def event_type(document: Document) -> str:
    """The type of an event; raises UnreadableBody where the body does not say one."""
    name = text(document, "eventType")
    if not name:
        raise UnreadableBody("eventType is missing")
    return name


def read_fact(body: bytes) -> LidarrFact | None:
    """The fact that an event tells, None where it tells none; raises UnreadableBody."""
    document = read_document(body)
    kind = FACT_KINDS.get(event_type(document))
    if kind is None:
        return None
    if kind is FactKind.IMPORT_FAILED:
        return LidarrFact(kind=kind)
    return _fact(kind, document, _albums(kind, document))


def _albums(kind: FactKind, document: Document) -> list[Document]:
    if kind is FactKind.DOWNLOAD_FAILED:
        return []
    if kind is FactKind.GRABBED:
        return objects(document, "albums")
    album = document.get("album")
    if not isinstance(album, dict):
        raise UnreadableBody("album is not an object")
    return [album]


def _fact(kind: FactKind, document: Document, albums: list[Document]) -> LidarrFact:
    download_id = text(document, "downloadId")
    if len(download_id) > _MAX_DOWNLOAD_ID:
        raise UnreadableBody(f"downloadId is longer than {_MAX_DOWNLOAD_ID} characters")
    if not albums and not download_id:
        raise UnreadableBody("the event names neither an album nor a download")
    return LidarrFact(
        kind=kind,
        album_ids=tuple(sorted({identifier(album, "id", where="album") for album in albums})),
        release_group_mbids=tuple(sorted({mbid for album in albums if (mbid := _mbid(album))})),
        download_id=download_id,
        download_client=text(document, "downloadClient")[:_MAX_CLIENT],
    )


def _mbid(album: Document) -> str:
    try:
        return str(UUID(text(album, "mbId")))
    except ValueError:
        return ""
