"""One try to get an album: one source and, where there is one, one peer.

RUNNING ──► SUCCEEDED | FAILED | STOPPED
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum


class Source(StrEnum):
    """Where albums come from."""

    SOULSEEK = "SOULSEEK"
    LIDARR = "LIDARR"
    SLSKD = "SLSKD"


class AttemptState(StrEnum):
    """How a try goes."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"


class FileState(StrEnum):
    """Where a file is on its way."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    TRANSFERRING = "TRANSFERRING"
    DONE = "DONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProgress:
    """How far one file is; its place in the peer's queue counts from 1, 0 is unknown."""

    name: str
    peer: str
    state: FileState = FileState.PENDING
    received_bytes: int = 0
    total_bytes: int = 0
    bytes_per_second: int = 0
    place_in_queue: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a try is; a total of 0 is unknown, and so are `files` that the source does not tell."""

    received_bytes: int = 0
    total_bytes: int = 0
    finished_count: int = 0
    total_count: int = 0
    bytes_per_second: int = 0
    files: tuple[FileProgress, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why something failed: one upper-case word for programs, a sentence for people.

    It may quote strangers: what no database can hold, lone surrogates and NUL, is left out.
    """

    reason: str
    message: str

    def __post_init__(self) -> None:
        """Holds the message to what can be kept."""
        object.__setattr__(self, "message", self.message.encode(errors="ignore").decode().replace("\0", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A try, counted from 1 within its acquisition; `peers` deliver a part each, `peer` the main one.

    `score` is why the offer was taken: its points, part by part.
    """

    number: int
    source: Source
    peer: str = ""
    peers: tuple[str, ...] = ()
    score: Mapping[str, float] = field(default_factory=dict)
    state: AttemptState = AttemptState.RUNNING
    failure: Failure | None = None
    progress: Progress = field(default_factory=Progress)
    started: datetime
    ended: datetime | None = None

    @property
    def running(self) -> bool:
        """Whether it is under way."""
        return self.state is AttemptState.RUNNING

    def reached(self, progress: Progress) -> "Attempt":
        """The same try, this far."""
        return replace(self, progress=progress)

    def with_peer(self, peer: str) -> "Attempt":
        """The same try, now that its peer is known."""
        return replace(self, peer=peer)

    def offered(self, peers: tuple[str, ...], score: Mapping[str, float]) -> "Attempt":
        """The same try, by whom it is delivered and why they were chosen."""
        return replace(self, peers=peers, score=score)

    def succeeded(self, at: datetime) -> "Attempt":
        """It delivered the album."""
        return replace(self, state=AttemptState.SUCCEEDED, ended=at)

    def failed(self, failure: Failure, at: datetime) -> "Attempt":
        """It did not deliver, and why."""
        return replace(self, state=AttemptState.FAILED, failure=failure, ended=at)

    def stopped(self, at: datetime) -> "Attempt":
        """It was called off."""
        return replace(self, state=AttemptState.STOPPED, ended=at)
