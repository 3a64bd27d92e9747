"""Kima's discovery batches, with their jobs as albums."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from deploy.cli.importing.jobs import ACTIVE, album_of
from deploy.cli.importing.report import Unusable
from deploy.cli.importing.rows import Row, derived_id
from services.acquisition.domain.attempt import Failure
from services.acquisition.domain.batch import AlbumState, Batch, BatchAlbum, BatchState

TABLE = "DiscoveryBatch"
COLUMNS = ("id", "userId", "weekStart", "status", "errorMessage", "createdAt", "completedAt")

_STATES = {"completed": BatchState.COMPLETED, "failed": BatchState.FAILED}
_ACTIVE = frozenset({"downloading", "scanning"})
_ALBUM_STATES = {"completed": AlbumState.COMPLETED, "failed": AlbumState.FAILED, "exhausted": AlbumState.FAILED}
_LONGEST = 2000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def batch_of(row: Row, jobs: Iterable[Row], users: Mapping[str, str]) -> Batch:
    """The batch that a discovery batch becomes; raises Unusable for a status that is not known."""
    kima_id = row.needed("id")
    state = _state(row)
    created = row.time("createdAt") or row.time("completedAt") or _EPOCH
    ended = max(created, row.time("completedAt") or created)
    week = row.time("weekStart")
    why = row.text("errorMessage")[:_LONGEST] or "Kima did not say why."
    return Batch(
        id=derived_id("bat", kima_id),
        owner=users.get(row.text("userId")) or f"kima/{row.text('userId')}",
        title=f"Kima: discover weekly {week:%Y-%m-%d}" if week else "Kima: discover weekly",
        created=created,
        updated=ended,
        ended=ended,
        albums=tuple(_albums(jobs)),
        state=state,
        failure=Failure(reason="KIMA_FAILED", message=why) if state is BatchState.FAILED else None,
    )


def _state(row: Row) -> BatchState:
    status = row.text("status")
    if status in _ACTIVE:
        return BatchState.CANCELLED
    if status not in _STATES:
        raise Unusable("status", f"{status[:50]!r} is not known")
    cancelled = "cancel" in row.text("errorMessage").lower()  # Kima writes a cancelled one as completed, or as failed
    return BatchState.CANCELLED if cancelled else _STATES[status]


def _albums(jobs: Iterable[Row]) -> Iterable[BatchAlbum]:
    """An album for each job that names one, equal ones once; what is odd about jobs is told with the jobs."""
    known: set[str] = set()
    for job in jobs:
        try:
            album = album_of(job)
        except Unusable:
            continue
        status = job.text("status")
        if album.key() in known or not (status in _ALBUM_STATES or status in ACTIVE) or job.text("type") != "album":
            continue
        known.add(album.key())
        state = _ALBUM_STATES.get(status, AlbumState.CANCELLED)
        why = Failure(reason="KIMA_FAILED", message=job.text("error")[:_LONGEST] or "Kima did not say why.")
        yield BatchAlbum(
            position=len(known),
            album=album,
            acquisition=derived_id("acq", job.id),
            own=True,
            state=state,
            failure=why if state is AlbumState.FAILED else None,
        )
