"""Replays: selections of events that are processed once more, as work that survives restarts.

    RUNNING ──> COMPLETED            all matching events are on their way
     │ ▲  └───> FAILED               given up, `error` says why
     │ └──resume──┐
     └──pause──> PAUSED
    RUNNING, PAUSED ──cancel──> CANCELLED

The selection is looked at in the order in which events were received, batch by batch. An event takes part when it was
stored before the replay began, matches when its turn comes, and has not changed since the replay began: so nothing is
replayed twice by one replay, and nothing that somebody else decided about meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from libs.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound

DEFAULT_RATE = 50
BATCH = 64
_BATCHES_A_SECOND = 4


class ReplayState(StrEnum):
    """Where a replay stands."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


class ReplayNotFound(NotFound):
    """There is no such replay."""

    reason = "REPLAY_NOT_FOUND"

    def __init__(self, replay_id: str) -> None:
        super().__init__(f"there is no replay {replay_id}", metadata={"replay": f"replays/{replay_id}"})


class ReplayEnded(FailedPrecondition):
    """The replay has ended: nothing can be changed about it."""

    reason = "REPLAY_ENDED"

    def __init__(self, replay_id: str, state: str) -> None:
        super().__init__(
            f"replay {replay_id} is {state}: it has ended",
            metadata={"replay": f"replays/{replay_id}", "state": state},
        )


class ReplayChanged(Conflict):
    """The replay is not as the caller has seen it."""

    reason = "REPLAY_CHANGED"

    def __init__(self, replay_id: str) -> None:
        super().__init__(
            f"replay {replay_id} was changed meanwhile: read it again", metadata={"replay": f"replays/{replay_id}"}
        )


class RequestIdReused(InvalidArgument):
    """The request id was used for another replay."""

    reason = "REQUEST_ID_REUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which events: all that is given must hold. `force` takes those, too, that took effect or contradict another."""

    filter: str = ""
    events: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    force: bool = False

    def check(self) -> None:
        """Raises InvalidArgument where nothing is selected, or no event ever could be."""
        if not (self.filter.strip() or self.events or self.since or self.until):
            raise InvalidArgument.field("filter", "must be given, or events, start_time or end_time")
        if self.since and self.until and self.since >= self.until:
            raise InvalidArgument.field("end_time", "must be after start_time")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReplay:
    """A replay to begin: at most `rate` events a second. `request_id` makes a repeated call the same call."""

    id: str
    selection: Selection
    rate: int = DEFAULT_RATE
    actor: str = ""
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a replay would do now: how many events match, how many of them it would pass over, and some it would not."""

    matched: int
    skipped: int
    samples: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A replay as it is now."""

    id: str
    state: ReplayState
    selection: Selection
    rate: int
    matched: int
    replayed: int
    skipped: int
    error: str
    actor: str
    request_id: str | None
    created: datetime
    updated: datetime
    version: int

    @property
    def etag(self) -> str:
        """Changes with every change of the replay; the quotes belong to it (AIP-154)."""
        return f'"{self.version}"'

    def answers(self, new: NewReplay) -> bool:
        """Whether it is what this call asked for."""
        return (self.selection, self.rate) == (new.selection, new.rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPage:
    """Some replays, newest first; the token leads to the next ones, and is empty on the last page."""

    replays: Sequence[Replay]
    next_token: str = ""


class Replays(Protocol):
    """The replays, for those who begin and steer them."""

    async def preview(self, selection: Selection) -> Preview:
        """What a replay would do; raises InvalidArgument, or EventNotFound for a name."""
        ...

    async def start(self, new: NewReplay) -> Replay:
        """Begin it, or find what the same request began; raises as `preview`, and RequestIdReused."""
        ...

    async def get(self, replay_id: str) -> Replay:
        """The replay; raises ReplayNotFound."""
        ...

    async def page(self, *, page_size: int, page_token: str) -> ReplayPage:
        """A page of replays; raises InvalidArgument for a token that cannot be read."""
        ...

    async def steer(self, replay_id: str, state: ReplayState, *, etag: str, actor: str) -> Replay:
        """Pause, resume or cancel it; one that is so already stays so.

        Raises ReplayNotFound, ReplayEnded, or ReplayChanged where an etag is given and not the replay's.
        """
        ...


def batch_size(rate: int) -> int:
    """How many events share a commit: several commits a second, so that no second sees more than its share."""
    return min(BATCH, max(1, rate // _BATCHES_A_SECOND))


def pace(replayed: int, rate: int, elapsed: timedelta) -> timedelta:
    """How long to wait after a batch that took `elapsed`, so that there are at most `rate` events a second."""
    return max(timedelta(), timedelta(seconds=replayed / rate) - elapsed)
