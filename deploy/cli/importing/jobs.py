"""Kima's download jobs as acquisitions: what ended as history, what had not ended as cancelled, to be retried."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from deploy.cli.importing.report import Unusable
from deploy.cli.importing.rows import Row, clean, derived_id
from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Attempt, Failure, Source

TABLE = "DownloadJob"
COLUMNS = (
    "id",
    "userId",
    "subject",
    "type",
    "targetMbid",
    "status",
    "error",
    "lidarrRef",
    "lidarrAlbumId",
    "metadata",
    "startedAt",
    "completedAt",
    "createdAt",
    "updatedAt",
    "discoveryBatchId",
)
ACTIVE = frozenset({"pending", "processing", "downloading"})

_STATES = {"completed": State.COMPLETED, "failed": State.FAILED, "exhausted": State.FAILED}
_REASONS = {"failed": "KIMA_FAILED", "exhausted": "KIMA_EXHAUSTED"}
_NOT_ALBUMS = {
    "artist": "it is a whole artist; its albums are jobs of their own",
    "track": "it is a single track; Lockgroove acquires albums",
    "soulseek-search": "it is a manual search; Lockgroove acquires albums",
}
_LONGEST_NAME = 300
_LONGEST_ERROR = 2000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def acquisition_of(row: Row, users: Mapping[str, str]) -> Acquisition:
    """The acquisition that a job becomes; raises Unusable for what is no job of an album."""
    kima_id = row.needed("id")
    _require_album(row)
    state = _state(row)
    created = row.time("createdAt") or row.time("updatedAt") or _EPOCH
    ended = max(created, row.time("completedAt") or row.time("updatedAt") or created)
    failure = _failure(row) if state is State.FAILED else None
    source = _source(row)
    batch = row.text("discoveryBatchId")
    return Acquisition(
        id=derived_id("acq", kima_id),
        album=album_of(row),
        source=source,
        owner=users.get(row.text("userId")) or f"kima/{row.text('userId')}",
        batch=derived_id("bat", batch) if batch else None,
        created=created,
        updated=ended,
        ended=ended,
        state=state,
        failure=failure,
        attempts=_attempts(row, state, source, failure, created, ended),
    )


def album_of(row: Row) -> Album:
    """The album of a job; raises Unusable where nothing names it."""
    metadata = row.document("metadata")
    artist, title = _told(metadata, "artistName"), _told(metadata, "albumTitle")
    if not (artist and title):
        first, dash, rest = row.text("subject").partition(" - ")
        if not (dash and first.strip() and rest.strip()):
            raise Unusable("subject", "names no artist and album")
        if " - " in rest:
            row.tell("subject", "has several dashes: the artist is taken to end at the first")
        artist, title = artist or first.strip(), title or rest.strip()
    for column, name in (("artistName", artist), ("albumTitle", title)):
        if len(name) > _LONGEST_NAME:
            raise Unusable(column, f"is longer than {_LONGEST_NAME} characters")
    return Album(artist=artist, title=title, release_group_mbid=_mbid(row))


def _require_album(row: Row) -> None:
    kind = row.text("type")
    if kind != "album":
        raise Unusable("type", _NOT_ALBUMS.get(kind, f"{kind[:50]!r} is not known"))


def _state(row: Row) -> State:
    status = row.text("status")
    if status in ACTIVE:
        return State.CANCELLED
    if status not in _STATES:
        raise Unusable("status", f"{status[:50]!r} is not known")
    cancelled = status == "failed" and "cancel" in row.text("error").lower()  # as Kima writes it
    return State.CANCELLED if cancelled else _STATES[status]


def _failure(row: Row) -> Failure:
    message = row.text("error") or "Kima did not say why."
    if len(message) > _LONGEST_ERROR:
        row.tell("error", f"is cut to {_LONGEST_ERROR} characters")
    return Failure(reason=_REASONS[row.text("status")], message=message[:_LONGEST_ERROR])


def _source(row: Row) -> Source:
    """Where it came from: said by the job, else by what Lidarr left in it; Kima's own button only used Lidarr."""
    told = _told(row.document("metadata"), "currentSource").upper()
    if told in Source.__members__:
        return Source(told)
    if told:
        row.tell("metadata", "currentSource is not known: taken as Lidarr")
    return Source.LIDARR


def _attempts(
    row: Row, state: State, source: Source, failure: Failure | None, created: datetime, ended: datetime
) -> tuple[Attempt, ...]:
    started = row.time("startedAt")
    if started is None and state is State.CANCELLED:
        return ()
    first = Attempt(number=1, source=source, started=min(started or created, ended))
    if failure is not None:
        return (first.failed(failure, ended),)
    return (first.succeeded(ended) if state is State.COMPLETED else first.stopped(ended),)


def _mbid(row: Row) -> str | None:
    text = row.text("targetMbid")
    if not text:
        return None
    try:
        return str(UUID(text))
    except ValueError:
        row.tell("targetMbid", "is no MusicBrainz id: left out")
        return None


def _told(metadata: Mapping[str, Any], name: str) -> str:
    found = metadata.get(name)
    return clean(found).strip() if isinstance(found, str) else ""
