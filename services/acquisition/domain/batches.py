"""The use cases of batches: ask for many albums, read, change, add, stop."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from libs.clock import Clock
from libs.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound
from services.acquisition.domain.acquisitions import CANCEL_WAIT, Query
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.batch import USUAL_PRIORITY, Batch, BatchAlbum, Counts, distinct
from services.acquisition.domain.bell import Bell

MOST_ALBUMS = 500


class BatchNotFound(NotFound):
    """There is no such batch."""

    reason = "BATCH_NOT_FOUND"


class BatchChanged(Conflict):
    """The batch is not the one that was read; `etag` is the one that it has now."""

    reason = "ETAG_MISMATCH"


class BatchFull(FailedPrecondition):
    """The batch has as many albums as a batch may have."""

    reason = "BATCH_FULL"


class RequestIdReused(InvalidArgument):
    """The request id was used for another batch."""

    reason = "REQUEST_ID_REUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """Albums to be acquired together; `request_id` makes a repeated call the same call."""

    albums: Sequence[Album]
    title: str = ""
    source: Source | None = None
    fallback: Source | None = None
    priority: int = USUAL_PRIORITY
    owner: str = ""
    request_id: str | None = None

    def fingerprint(self) -> str:
        """Equal for equal batches: SHA-256 over what was asked, the request id aside."""
        albums = [album.to_json() for album in self.albums]
        text = json.dumps([self.title, albums, self.source, self.fallback, self.priority], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to become of a batch; None stays as it is."""

    title: str | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPage:
    """A page of batches, without their albums, and how many those are; `next_token` is empty on the last."""

    batches: Sequence[tuple[Batch, Counts]]
    next_token: str


class BatchStore(Protocol):
    """Where batches are kept; each method is one transaction. All that write raise BatchChanged for another etag."""

    async def create(self, wanted: Batch, new: NewBatch) -> Batch:
        """`wanted`, or what the request made before; raises RequestIdReused when it asked for something else."""
        ...

    async def get(self, batch_id: str) -> Batch:
        """The batch; raises BatchNotFound."""
        ...

    async def page(self, query: Query) -> BatchPage:
        """A page of batches; raises InvalidArgument for a bad filter, order or token."""
        ...

    async def change(self, batch_id: str, change: Change, *, etag: str, actor: str) -> Batch:
        """Change it, with the priority of its own acquisitions."""
        ...

    async def add(self, batch_id: str, albums: Sequence[Album], *, etag: str, actor: str) -> Batch:
        """Add albums to one that is DOWNLOADING."""
        ...

    async def cancel(self, batch_id: str, *, etag: str, actor: str) -> Batch:
        """Ask for the end of an active one."""
        ...


class Batches:
    """What callers may do with batches. `hurry` lets a running step see at once that its batch is to be cancelled."""

    def __init__(
        self,
        store: BatchStore,
        *,
        bell: Bell,
        hurry: Callable[[], Awaitable[None]],
        clock: Clock,
        new_id: Callable[[str], str],
        cancel_wait: float = CANCEL_WAIT,
    ) -> None:
        self._store = store
        self._bell = bell
        self._hurry = hurry
        self._clock = clock
        self._new_id = new_id
        self._cancel_wait = cancel_wait

    async def create(self, new: NewBatch) -> Batch:
        """The batch, DOWNLOADING. Raises InvalidArgument for none or too many albums, and RequestIdReused."""
        albums = distinct(new.albums).values()
        if not albums:
            raise InvalidArgument.field("batch.albums", "must name at least one album", reason="REQUIRED")
        if len(albums) > MOST_ALBUMS:
            raise InvalidArgument.field("batch.albums", f"must name at most {MOST_ALBUMS} albums")
        now = self._clock.now()
        wanted = Batch(
            id=self._new_id("bat"),
            title=new.title,
            owner=new.owner,
            source=new.source,
            fallback=new.fallback,
            priority=new.priority,
            albums=tuple(BatchAlbum(position=place, album=album) for place, album in enumerate(albums, start=1)),
            created=now,
            updated=now,
        )
        batch = await self._store.create(wanted, new)
        self._bell.ring()
        return batch

    async def get(self, batch_id: str) -> Batch:
        """The batch; raises BatchNotFound."""
        return await self._store.get(batch_id)

    async def list(self, query: Query) -> BatchPage:
        """A page of batches; raises InvalidArgument."""
        return await self._store.page(query)

    async def change(self, batch_id: str, change: Change, *, etag: str, actor: str) -> Batch:
        """The batch, changed; a new priority holds for its own acquisitions that are active, too.

        Raises BatchNotFound, BatchChanged, and WrongState for the priority of one that has ended.
        """
        return await self._store.change(batch_id, change, etag=etag, actor=actor)

    async def add(self, batch_id: str, albums: Sequence[Album], *, etag: str, actor: str) -> Batch:
        """The batch with these albums, too. Raises BatchNotFound, BatchChanged, WrongState and BatchFull."""
        batch = await self._store.add(batch_id, albums, etag=etag, actor=actor)
        self._bell.ring()
        return batch

    async def cancel(self, batch_id: str, *, etag: str, actor: str) -> Batch:
        """The batch, stopped; one whose acquisitions clean up for long may still be on its way there.

        Raises BatchNotFound, BatchChanged, and WrongState for one that completed or failed.
        """
        batch = await self._store.cancel(batch_id, etag=etag, actor=actor)
        self._bell.ring()
        await self._hurry()
        deadline = self._clock.monotonic() + self._cancel_wait
        while batch.active and (left := deadline - self._clock.monotonic()) > 0:
            await self._bell.heard(min(left, 0.25))
            batch = await self.get(batch_id)
        return batch


def not_found(batch_id: str) -> BatchNotFound:
    """The error for a batch that is not there."""
    name = f"batches/{batch_id}"
    return BatchNotFound(f"There is no {name}.", metadata={"name": name})


def changed(batch: Batch) -> BatchChanged:
    """The error for a batch that somebody else has changed."""
    metadata = {"name": batch.name, "etag": batch.etag}
    return BatchChanged(f"{batch.name} has changed: read it again, then decide again.", metadata=metadata)


def request_id_reused() -> RequestIdReused:
    """The error for a request id that belongs to another batch."""
    problem = InvalidArgument.field("request_id", "was used for another batch before", reason="REQUEST_ID_REUSED")
    return RequestIdReused(problem.message, violations=problem.violations)


def batch_full(batch: Batch) -> BatchFull:
    """The error for more albums than a batch may have."""
    text = f"{batch.name} would have more than {MOST_ALBUMS} albums: make another batch."
    return BatchFull(text, metadata={"name": batch.name, "most": str(MOST_ALBUMS)})
