"""One step of an acquisition: what it gets, what it gives back, and how it tells its progress meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from services.acquisition.domain.acquisition import Acquisition
from services.acquisition.domain.attempt import Progress

NOW = timedelta()

Document = Mapping[str, Any]  # plain JSON values


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a step gets: the acquisition, what the steps before kept, and what happened since (`signals`)."""

    acquisition: Acquisition
    plan: Document = field(default_factory=dict)
    signals: tuple[Document, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What binds an acquisition to Lidarr: by these, its webhooks find the acquisition."""

    album_id: int
    release_group_mbid: str
    download_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What a step gives back: the acquisition as it is now, what the next step needs, and when that is due."""

    acquisition: Acquisition
    plan: Document = field(default_factory=dict)
    delay: timedelta = NOW
    binding: Binding | None = None


class ProgressReport(Protocol):
    """Where a running step tells how far it is; cheap to call, stored at most once a second."""

    async def __call__(self, progress: Progress, /) -> None:
        """The running attempt is this far."""
        ...


class Steps(Protocol):
    """The steps of one source. A step that repeats after a crash does no harm."""

    async def advance(self, job: Job, report: ProgressReport) -> Move:
        """Do the one thing that the acquisition's state asks for."""
        ...

    async def clean_up(self, acquisition: Acquisition) -> None:
        """Remove what an acquisition that was cancelled left behind; repeating it does no harm."""
        ...
