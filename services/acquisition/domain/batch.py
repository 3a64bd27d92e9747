"""A batch: albums that were asked for together, as one thing that has an end.

DOWNLOADING ──► SCANNING ──► COMPLETED     every album has ended, and at least one is in the library
     │  │         │  │
     │  └─────────┼──┴─────► FAILED        no album could be had, or the library could not be read
     └────────────┴────────► CANCELLED

An album of it is ACTIVE, then COMPLETED, FAILED or CANCELLED; a COMPLETED one becomes FAILED where the scan does not
find it. An ACTIVE one with a failure is given up: it ends when its acquisition has stopped. `TRANSITIONS` and
`ALBUM_TRANSITIONS` are the same pictures for programs.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

from services.acquisition.domain.acquisition import ENDED as ACQUISITION_ENDED
from services.acquisition.domain.acquisition import State as AcquisitionState
from services.acquisition.domain.acquisition import WrongState
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Failure, Source
from services.acquisition.domain.patience import Patience, Watch

USUAL_PRIORITY = 3  # whoever asks for one album goes first
_REQUESTS = UUID("6d0b1a52-4b6e-5c0e-9d53-2a7f0c1f6a11")


class BatchState(StrEnum):
    """Where a batch stands."""

    DOWNLOADING = "DOWNLOADING"
    SCANNING = "SCANNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class AlbumState(StrEnum):
    """Where an album of a batch stands."""

    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


ENDED = frozenset({BatchState.COMPLETED, BatchState.FAILED, BatchState.CANCELLED})

TRANSITIONS: Mapping[BatchState, frozenset[BatchState]] = {
    BatchState.DOWNLOADING: frozenset({BatchState.SCANNING, BatchState.FAILED, BatchState.CANCELLED}),
    BatchState.SCANNING: frozenset({BatchState.COMPLETED, BatchState.FAILED, BatchState.CANCELLED}),
    BatchState.COMPLETED: frozenset(),
    BatchState.FAILED: frozenset(),
    BatchState.CANCELLED: frozenset(),
}
ALBUM_TRANSITIONS: Mapping[AlbumState, frozenset[AlbumState]] = {
    AlbumState.ACTIVE: frozenset({AlbumState.COMPLETED, AlbumState.FAILED, AlbumState.CANCELLED}),
    AlbumState.COMPLETED: frozenset({AlbumState.FAILED}),
    AlbumState.FAILED: frozenset(),
    AlbumState.CANCELLED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """How the acquisition of an album stands: `state` is None when it is gone, and it is `held` while it is paused.

    `moved` changes when anything of it does.
    """

    state: AcquisitionState | None
    failure: Failure | None = None
    moved: str = ""
    held: bool = False

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.state is not None and self.state not in ACQUISITION_ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Sightings:
    """The acquisitions of a batch's active albums, by position; `busy` while some acquisition is being worked on."""

    by_position: Mapping[int, Sighting]
    busy: bool = False

    @property
    def mark(self) -> str:
        """Stays the same while nothing moves: no state, no try, no byte."""
        return "\n".join(f"{position} {one.moved}" for position, one in sorted(self.by_position.items()))

    @property
    def started(self) -> bool:
        """Whether any has had a step."""
        return any(one.state is not AcquisitionState.QUEUED for one in self._active)

    @property
    def stands(self) -> bool:
        """Whether nothing can move, for a reason that is none of theirs: all are held, or wait behind others."""
        return all(one.held for one in self._active) or (self.busy and not self.started)

    @property
    def _active(self) -> list[Sighting]:
        return [one for one in self.by_position.values() if one.active]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAlbum:
    """An album of a batch, counted from 1. `own` where its acquisition was made for the batch."""

    position: int
    album: Album
    acquisition: str | None = None
    own: bool = False
    state: AlbumState = AlbumState.ACTIVE
    failure: Failure | None = None

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.state is AlbumState.ACTIVE

    @property
    def given_up(self) -> bool:
        """Whether it ends as soon as its acquisition has stopped."""
        return self.active and self.failure is not None

    def moved(self, state: AlbumState, failure: Failure | None = None) -> "BatchAlbum":
        """In another state. Raises WrongState where the picture has no arrow."""
        if state not in ALBUM_TRANSITIONS[self.state]:
            metadata = {"position": str(self.position), "state": self.state, "wanted": state}
            raise WrongState(f"Album {self.position} is {self.state} and cannot become {state}.", metadata=metadata)
        return replace(self, state=state, failure=failure)

    def asked(self, acquisition: str, *, own: bool) -> "BatchAlbum":
        """With its acquisition."""
        return replace(self, acquisition=acquisition, own=own)

    def seen(self, sighting: Sighting, *, stopping: bool) -> "BatchAlbum":
        """As its acquisition says. `stopping`: who gave it up waits for its end."""
        match sighting.state:
            case None:
                return self.moved(AlbumState.FAILED, ACQUISITION_GONE)
            case AcquisitionState.COMPLETED:
                return self.moved(AlbumState.COMPLETED)
            case AcquisitionState.FAILED:
                return self.moved(AlbumState.FAILED, sighting.failure)
            case AcquisitionState.CANCELLED if self.failure is None:
                return self.moved(AlbumState.CANCELLED)
        if self.failure is None or (sighting.active and stopping):
            return self
        return self.moved(AlbumState.FAILED, self.failure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many albums there are, are in the library, and could not be had."""

    total: int
    completed: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Albums that were asked for together. `version` counts its changes; `cancelling` since somebody cancelled it."""

    id: str
    owner: str
    created: datetime
    updated: datetime
    albums: tuple[BatchAlbum, ...]
    title: str = ""
    source: Source | None = None
    fallback: Source | None = None
    priority: int = USUAL_PRIORITY
    state: BatchState = BatchState.DOWNLOADING
    version: int = 1
    cancelling: bool = False
    ended: datetime | None = None
    failure: Failure | None = None
    watch: Watch = field(default_factory=Watch)

    @property
    def name(self) -> str:
        """Its resource name."""
        return f"batches/{self.id}"

    @property
    def etag(self) -> str:
        """Changes with every change of the batch; the quotes belong to it (AIP-154)."""
        return f'"{self.version}"'

    @property
    def active(self) -> bool:
        """Whether there is still something to do."""
        return self.state not in ENDED

    @property
    def counts(self) -> Counts:
        """How many albums are where."""
        states = [album.state for album in self.albums]
        failed = states.count(AlbumState.FAILED) + states.count(AlbumState.CANCELLED)
        return Counts(total=len(states), completed=states.count(AlbumState.COMPLETED), failed=failed)

    @property
    def unasked(self) -> tuple[BatchAlbum, ...]:
        """The albums for which nobody has been asked yet."""
        return tuple(album for album in self.albums if album.active and album.acquisition is None)

    def moved(self, state: BatchState, at: datetime) -> "Batch":
        """In another state. Raises WrongState where the picture has no arrow."""
        if state not in TRANSITIONS[self.state]:
            raise wrong_state(self, f"cannot become {state}")
        return replace(self, state=state, updated=at, ended=at if state in ENDED else None)

    def with_albums(self, albums: Iterable[Album]) -> "Batch":
        """With these albums behind its own; those that it has are left out. Raises WrongState unless DOWNLOADING."""
        if self.state is not BatchState.DOWNLOADING or self.cancelling:
            raise wrong_state(self, "takes no more albums")
        known = {one.album.key() for one in self.albums}
        new = [album for key, album in distinct(albums).items() if key not in known]
        first = len(self.albums) + 1
        more = (BatchAlbum(position=position, album=album) for position, album in enumerate(new, start=first))
        return replace(self, albums=(*self.albums, *more))

    def with_changed(self, albums: Iterable[BatchAlbum]) -> "Batch":
        """With these of its albums changed."""
        changed = {album.position: album for album in albums}
        return replace(self, albums=tuple(changed.get(album.position, album) for album in self.albums))

    def watched_until(self, delay: timedelta) -> "Batch":
        """With the next look so much later."""
        return replace(self, watch=self.watch.until(delay))

    def seen(self, sightings: Sightings, at: datetime, *, stopping: Collection[str] = ()) -> "Batch":
        """After a look at its acquisitions; those of `stopping` are about to end."""
        known = sightings.by_position
        albums = tuple(
            album.seen(known[album.position], stopping=album.acquisition in stopping)
            if album.active and album.position in known
            else album
            for album in self.albums
        )
        watch = self.watch.looked(sightings.mark, at, stands=sightings.stands)
        return replace(self, albums=albums, watch=watch)

    def without_the_stuck(self, sightings: Sightings, patience: Patience) -> "Batch":
        """With its active albums given up, where nothing has moved for too long."""
        limit = patience.with_some if self.counts.completed else patience.with_none
        if not sightings.started:
            limit = patience.in_line
        if self.watch.idle < limit:
            return self
        return self.with_changed(
            replace(album, failure=stuck(self.watch.idle))
            for album in self.albums
            if album.active and not album.failure
        )

    def settled(self, at: datetime) -> "Batch":
        """In the state that follows when no album is active any more."""
        if any(album.active for album in self.albums):
            return self
        if self.counts.completed:
            return replace(self.moved(BatchState.SCANNING, at), watch=Watch())
        stuck_ones = [one.failure for one in self.albums if one.failure and one.failure.reason == STUCK]
        return self._failed(stuck_ones[0] if stuck_ones else NOTHING_HAD, at)

    def scanned(self, missing: Mapping[int, Failure], at: datetime) -> "Batch":
        """COMPLETED, without the albums that are missing; FAILED when none is left."""
        found = self.with_changed(
            album.moved(AlbumState.FAILED, missing[album.position])
            for album in self.albums
            if album.position in missing
        )
        return found.moved(BatchState.COMPLETED, at) if found.counts.completed else found._failed(NOTHING_FOUND, at)

    def failed(self, failure: Failure, at: datetime) -> "Batch":
        """Given up, with all albums that are active."""
        ended = (album.moved(AlbumState.FAILED, failure) for album in self.albums if album.active)
        return self.with_changed(ended)._failed(failure, at)

    def cancelled(self, at: datetime) -> "Batch":
        """Stopped by a person, with all albums that are active."""
        ended = (album.moved(AlbumState.CANCELLED) for album in self.albums if album.active)
        return self.with_changed(ended).moved(BatchState.CANCELLED, at)

    def _failed(self, failure: Failure, at: datetime) -> "Batch":
        return replace(self.moved(BatchState.FAILED, at), failure=failure)


STUCK = "BATCH_STUCK"
ACQUISITION_GONE = Failure(reason="ACQUISITION_GONE", message="Its acquisition was deleted. Ask for the album again.")
NOTHING_HAD = Failure(reason="NO_ALBUM_HAD", message="No album could be had: each of them says why.")
NOTHING_FOUND = Failure(reason="NO_ALBUM_FOUND", message="No album is in the library any more: each of them says why.")
LIBRARY_UNREADABLE = Failure(
    reason="LIBRARY_UNREADABLE",
    message="The music folder could not be read. See that it is mounted; what was acquired is still in it.",
)


def stuck(idle: timedelta) -> Failure:
    """Why an album is given up when nothing of its batch moves any more."""
    minutes = idle // timedelta(minutes=1)
    message = f"Nothing of the batch moved for {minutes} minutes: what was left was stopped. Ask for the album again."
    return Failure(reason=STUCK, message=message)


def request_id_of(batch_id: str, position: int) -> str:
    """The request id with which a batch asks for one of its albums: asking once more is the same request."""
    return str(uuid5(_REQUESTS, f"{batch_id}/{position}"))


def distinct(albums: Iterable[Album]) -> dict[str, Album]:
    """The albums by their keys, each once, in their order."""
    first: dict[str, Album] = {}
    for album in albums:
        first.setdefault(album.key(), album)
    return first


def wrong_state(batch: Batch, problem: str) -> WrongState:
    """The error for what cannot be done to a batch where it stands."""
    state = "being cancelled" if batch.cancelling and batch.active else str(batch.state)
    return WrongState(f"{batch.name} is {state}: it {problem}.", metadata={"name": batch.name, "state": batch.state})
