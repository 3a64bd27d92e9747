"""What Lidarr sends: thirteen types of events, of which four tell a fact about an acquisition.

The shapes are those of Lidarr's own webhook classes. Nulls are left out, fields may be added at any time, and an
ImportFailure names nothing at all, unless it is one that we found in Lidarr's history.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from services.webhooks.domain.document import Document, UnreadableBody, identifier, objects, read_document, text

_MAX_DOWNLOAD_ID = 500
_MAX_CLIENT = 200
_SEPARATORS = re.compile(r"[/\\]")
_MAX_RENAMES = 5000  # files of which one event tells; an artist has fewer


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
_WORDS = {FactKind.GRABBED: "grabbed", FactKind.IMPORTED: "imported", FactKind.IMPORT_FAILED: "import-failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarrFact:
    """Something that Lidarr did, with every id that the event names; an IMPORT_FAILED of Lidarr names none."""

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
    return _read(read_document(body))


def order_key(document: Document) -> str | None:
    """Under which events follow each other: their download, else their (first) album; None where order is nothing.

    Total: what cannot be read has no key.
    """
    fact = _named(document)
    if fact is None:
        return None
    if fact.download_id:
        return f"download:{fact.download_id}"
    return f"album:{fact.album_ids[0]}" if fact.album_ids else None


def fact_keys(document: Document) -> tuple[str, ...]:
    """The facts that an event tells, as Lidarr's history names them too; empty for one that names nothing.

    Total: what cannot be read tells nothing.
    """
    name = document.get("eventType")
    if name == "Rename":
        return _renames(document)
    if name == "Retag":
        return _retags(document)
    fact = _named(document)
    if fact is None:
        return ()
    if fact.kind is FactKind.DOWNLOAD_FAILED:
        return (f"failed:{fact.download_id}",)
    word = _WORDS[fact.kind]
    return tuple(f"{word}:{fact.download_id or '-'}:{album_id}" for album_id in fact.album_ids)


def _read(document: Document) -> LidarrFact | None:
    kind = FACT_KINDS.get(event_type(document))
    return None if kind is None else _fact(kind, document, _albums(kind, document))


def _named(document: Document) -> LidarrFact | None:
    try:
        return _read(document)
    except UnreadableBody:
        return None


def _renames(document: Document) -> tuple[str, ...]:
    listed = document.get("renamedTrackFiles")
    files = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    keys = (f"renamed:{_file(document, file)}" for file in files[:_MAX_RENAMES])
    return tuple(dict.fromkeys(keys))


def _retags(document: Document) -> tuple[str, ...]:
    file = document.get("trackFile")
    return (f"retagged:{_file(document, file)}",) if isinstance(file, dict) else ()


def _file(document: Document, file: Document) -> str:
    """The file by its artist and its own name, hashed: webhooks and history need not agree on the folders above it."""
    artist = document.get("artist")
    number = artist.get("id") if isinstance(artist, dict) else None
    name = _SEPARATORS.split(str(file.get("path")))[-1]
    return hashlib.sha256(f"{number}/{name}".encode(errors="surrogatepass")).hexdigest()[:32]


def _albums(kind: FactKind, document: Document) -> list[Document]:
    if kind is FactKind.DOWNLOAD_FAILED:
        return []
    if kind is FactKind.GRABBED:
        return objects(document, "albums")
    album = document.get("album")
    if album is None and kind is FactKind.IMPORT_FAILED:
        return []  # Lidarr names nothing; our own back-fill does
    if not isinstance(album, dict):
        raise UnreadableBody("album is not an object")
    return [album]


def _fact(kind: FactKind, document: Document, albums: list[Document]) -> LidarrFact:
    download_id = text(document, "downloadId")
    if len(download_id) > _MAX_DOWNLOAD_ID:
        raise UnreadableBody(f"downloadId is longer than {_MAX_DOWNLOAD_ID} characters")
    if not albums and not download_id and kind is not FactKind.IMPORT_FAILED:
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
