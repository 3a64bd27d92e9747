"""The use cases: ask for an album, read, stop, start again, and tell what Lidarr did."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from libs.clock import Clock
from libs.errors import AlreadyExists, Conflict, NotFound
from services.acquisition.domain.acquisition import Acquisition
from services.acquisition.domain.bell import Bell
from services.acquisition.domain.fact import LidarrFact
from services.acquisition.domain.sources import PEERS, SourceRules
from services.acquisition.domain.wish import Scope, Wish, music_path_not_set

CANCEL_WAIT = 5.0  # seconds until a cancel is answered with what is there by then


class AcquisitionNotFound(NotFound):
    """There is no such acquisition."""

    reason = "ACQUISITION_NOT_FOUND"


class EtagMismatch(Conflict):
    """The acquisition is not the one that the caller read."""

    reason = "ETAG_MISMATCH"


class AlbumActive(AlreadyExists):
    """Another acquisition of the same album is active; `name` says which."""

    reason = "ALBUM_ACTIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the settings say about new acquisitions."""

    sources: SourceRules = field(default_factory=SourceRules)
    scope: Scope = Scope.GLOBAL
    music_path: str | None = None
    imports: bool = True  # verified albums are put into the music folder by us, not by Lidarr


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which acquisitions to list, in the spelling of AIP-132 and AIP-160."""

    filter: str = ""
    order_by: str = ""
    page_size: int = 0
    page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of acquisitions; `next_token` is empty on the last."""

    acquisitions: Sequence[Acquisition]
    next_token: str


class AcquisitionStore(Protocol):
    """Where acquisitions are kept; each method is one transaction."""

    async def find_request(self, request_id: str, fingerprint: str) -> Acquisition | None:
        """What the request made; raises RequestIdReused when it asked for something else."""
        ...

    async def create(self, wanted: Acquisition, wish: Wish, *, key: str) -> Acquisition:
        """`wanted`, or the active acquisition with the same key, or what the request made before."""
        ...

    async def find(self, acquisition_id: str) -> Acquisition | None:
        """The acquisition, or None."""
        ...

    async def page(self, query: Query) -> Page:
        """A page of acquisitions; raises InvalidArgument for a bad filter, order or token."""
        ...

    async def cancel(self, acquisition_id: str, *, etag: str, actor: str) -> Acquisition:
        """Ask for the end of an active one; at once where nobody works on it."""
        ...

    async def retry(self, acquisition_id: str, *, etag: str, actor: str) -> Acquisition:
        """Queue an ended one again."""
        ...

    async def set_priority(self, acquisition_id: str, priority: int, *, etag: str, actor: str) -> Acquisition:
        """Let an active one come before or after others."""
        ...

    async def set_paused(self, acquisition_id: str, paused: bool, *, etag: str, actor: str) -> Acquisition:
        """Hold an active one where it is, or let it go on."""
        ...

    async def report(self, facts: Sequence[LidarrFact]) -> Sequence[Sequence[str]]:
        """Signal whoever waits for the facts, in their order; returns for each the ids of all to whom it belongs."""
        ...


class Acquisitions:
    """What callers may do with acquisitions. `hurry` lets running steps see at once that they are to be cancelled."""

    def __init__(
        self,
        store: AcquisitionStore,
        *,
        rules: Callable[[], Rules],
        bell: Bell,
        hurry: Callable[[], Awaitable[None]],
        clock: Clock,
        new_id: Callable[[str], str],
        cancel_wait: float = CANCEL_WAIT,
    ) -> None:
        self._store = store
        self._rules = rules
        self._bell = bell
        self._hurry = hurry
        self._clock = clock
        self._new_id = new_id
        self._cancel_wait = cancel_wait

    async def create(self, wish: Wish) -> Acquisition:
        """The acquisition of the album: the active one, else a new one.

        An ended one is not brought back, not even a completed one: the new one finds out by itself whether the library
        holds the album (the same files complete it without a second copy, others fail it with ALBUM_FOLDER_EXISTS).
        Raises RequestIdReused, and MusicPathNotSet where Soulseek would have no library to import into.
        """
        if wish.request_id:
            made = await self._store.find_request(wish.request_id, wish.fingerprint())
            if made is not None:
                return made
        rules = self._rules()
        wanted = self._wanted(wish, rules)
        acquisition = await self._store.create(wanted, wish, key=wish.key(rules.scope))
        if acquisition.id == wanted.id:
            self._bell.ring()
        return acquisition

    async def get(self, acquisition_id: str) -> Acquisition:
        """The acquisition; raises AcquisitionNotFound."""
        found = await self._store.find(acquisition_id)
        if found is None:
            raise not_found(acquisition_id)
        return found

    async def list(self, query: Query) -> Page:
        """A page of acquisitions; raises InvalidArgument."""
        return await self._store.page(query)

    async def cancel(self, acquisition_id: str, *, etag: str, actor: str) -> Acquisition:
        """The acquisition, stopped; one whose running step cleans up for long may still be on its way there.

        Raises AcquisitionNotFound, Conflict for another etag, and WrongState for one that completed or failed.
        """
        acquisition = await self._store.cancel(acquisition_id, etag=etag, actor=actor)
        self._bell.ring()
        await self._hurry()
        deadline = self._clock.monotonic() + self._cancel_wait
        while acquisition.active and (left := deadline - self._clock.monotonic()) > 0:
            await self._bell.heard(min(left, 0.25))
            acquisition = await self.get(acquisition_id)
        return acquisition

    async def retry(self, acquisition_id: str, *, etag: str, actor: str) -> Acquisition:
        """The acquisition, queued again.

        Raises AcquisitionNotFound, Conflict for another etag, WrongState for one that is active or completed, and
        AlbumActive while another acquisition of the same album is active.
        """
        acquisition = await self._store.retry(acquisition_id, etag=etag, actor=actor)
        self._bell.ring()
        return acquisition

    async def set_priority(self, acquisition_id: str, priority: int, *, etag: str, actor: str) -> Acquisition:
        """The acquisition, with another priority, 1 to 10.

        Raises AcquisitionNotFound, Conflict for another etag, and WrongState for one that has ended.
        """
        return await self._store.set_priority(acquisition_id, priority, etag=etag, actor=actor)

    async def set_paused(self, acquisition_id: str, paused: bool, *, etag: str, actor: str) -> Acquisition:
        """The acquisition, held where it is (what runs stops without harm), or let go on; repeating it is the same.

        Raises AcquisitionNotFound, Conflict for another etag, and WrongState for one that has ended.
        """
        acquisition = await self._store.set_paused(acquisition_id, paused, etag=etag, actor=actor)
        self._bell.ring()
        await self._hurry()
        return acquisition

    async def report(self, fact: LidarrFact) -> Sequence[str]:
        """The names of the acquisitions that the fact belongs to."""
        return (await self.report_many([fact]))[0]

    async def report_many(self, facts: Sequence[LidarrFact]) -> Sequence[Sequence[str]]:
        """As `report`, for many in their order."""
        reached = await self._store.report(facts)
        if any(reached):
            self._bell.ring()
        return [[f"acquisitions/{acquisition_id}" for acquisition_id in ids] for ids in reached]

    def _wanted(self, wish: Wish, rules: Rules) -> Acquisition:
        choice = rules.sources.choose(wish.source, wish.fallback)
        if choice.source in PEERS and rules.imports and not rules.music_path:
            raise music_path_not_set()
        now = self._clock.now()
        return Acquisition(
            id=self._new_id("acq"),
            album=wish.album,
            source=choice.source,
            fallback=choice.fallback,
            priority=wish.priority,
            owner=wish.actor,
            batch=wish.batch,
            created=now,
            updated=now,
        )


def not_found(acquisition_id: str) -> AcquisitionNotFound:
    """The error for an acquisition that is not there."""
    name = f"acquisitions/{acquisition_id}"
    return AcquisitionNotFound(f"There is no {name}.", metadata={"name": name})
