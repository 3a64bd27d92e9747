"""An acquisition: the wish for one album, and all that came of it.

QUEUED ──► SEARCHING ──► DOWNLOADING ──► VERIFYING ──► IMPORTING ──► COMPLETED
               │           ▲    ▲ │          │             │
               │           │    └─┴──────────┴─────────────┘   the next candidate
               └───────────┼────────► COMPLETED                it was there already
                           │
QUEUED ──► WAITING
SEARCHING, DOWNLOADING, VERIFYING, IMPORTING ◄──► WAITING ──► COMPLETED   for Lidarr, an outage, the next try
every active state ── its source failed, the fallback takes over ──► QUEUED
every state but COMPLETED ──► FAILED | CANCELLED ── retry ──► QUEUED

COMPLETED is final. `TRANSITIONS` is the same picture for programs; whoever leaves it gets `WrongState`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from libs.errors import FailedPrecondition
from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.attempt import Attempt, Failure, Progress, Source
from services.acquisition.domain.files import LibraryFile


class State(StrEnum):
    """Where an acquisition stands."""

    QUEUED = "QUEUED"
    SEARCHING = "SEARCHING"
    DOWNLOADING = "DOWNLOADING"
    VERIFYING = "VERIFYING"
    IMPORTING = "IMPORTING"
    WAITING = "WAITING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


ENDED = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
RETRYABLE = frozenset({State.FAILED, State.CANCELLED})

USUAL_PRIORITY = 5  # of 1 (whenever nothing else is to do) to 10 (before everything else)

_GIVE_UP = frozenset({State.FAILED, State.CANCELLED})
_LEAVE = frozenset({State.QUEUED, State.WAITING}) | _GIVE_UP

TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.SEARCHING}) | _LEAVE,
    State.SEARCHING: frozenset({State.DOWNLOADING, State.COMPLETED}) | _LEAVE,
    State.DOWNLOADING: frozenset({State.DOWNLOADING, State.VERIFYING}) | _LEAVE,
    State.VERIFYING: frozenset({State.DOWNLOADING, State.IMPORTING}) | _LEAVE,
    State.IMPORTING: frozenset({State.DOWNLOADING, State.COMPLETED}) | _LEAVE,
    State.WAITING: frozenset({State.SEARCHING, State.DOWNLOADING, State.VERIFYING, State.IMPORTING, State.COMPLETED})
    | _LEAVE,
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset({State.QUEUED}),
    State.CANCELLED: frozenset({State.QUEUED}),
}


class WrongState(FailedPrecondition):
    """The acquisition is not where this could be done."""

    reason = "WRONG_STATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """The wish for one album. `version` counts the commits that changed it; `due` is when a WAITING one goes on.

    `source` is tried first, then `fallback`: `given_up` says why the first was, once the fallback has taken over. A
    `paused` one stays where it is. `owner` asked first; `batch` is what it belongs to, by its id. `missing` are the
    tracks that a COMPLETED one lacks.
    """

    id: str
    album: Album
    source: Source
    fallback: Source | None = None
    given_up: Failure | None = None
    priority: int = USUAL_PRIORITY
    paused: bool = False
    owner: str = ""
    batch: str | None = None
    created: datetime
    updated: datetime
    state: State = State.QUEUED
    version: int = 1
    due: datetime | None = None
    ended: datetime | None = None
    failure: Failure | None = None
    attempts: tuple[Attempt, ...] = ()
    files: tuple[LibraryFile, ...] = ()
    missing: tuple[Track, ...] = ()

    @property
    def current(self) -> Source:
        """The source that is tried now, or was tried last."""
        return self.source if self.given_up is None or self.fallback is None else self.fallback

    @property
    def next_source(self) -> Source | None:
        """The source that is left when the current one fails."""
        return self.fallback if self.given_up is None else None

    @property
    def name(self) -> str:
        """Its resource name."""
        return f"acquisitions/{self.id}"

    @property
    def etag(self) -> str:
        """Changes with every commit; the quotes belong to it (AIP-154)."""
        return f'"{self.version}"'

    @property
    def active(self) -> bool:
        """Whether there is still something to do."""
        return self.state not in ENDED

    @property
    def attempt(self) -> Attempt | None:
        """The running attempt."""
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and last.running else None

    def moved(self, state: State, at: datetime) -> "Acquisition":
        """In another active state. Raises WrongState where the picture has no arrow."""
        if state not in TRANSITIONS[self.state]:
            raise WrongState(
                f"{self.name} is {self.state} and cannot become {state}.",
                metadata={"name": self.name, "state": self.state, "wanted": state},
            )
        return replace(self, state=state, updated=at)

    def tried(self, source: Source, peer: str, at: datetime, progress: Progress | None = None) -> "Acquisition":
        """With a new attempt. Raises WrongState while another one runs."""
        if self.attempt is not None or not self.active:
            raise WrongState(f"{self.name} cannot begin an attempt now.", metadata={"name": self.name})
        attempt = Attempt(
            number=len(self.attempts) + 1, source=source, peer=peer, progress=progress or Progress(), started=at
        )
        return replace(self, attempts=(*self.attempts, attempt), updated=at)

    def with_attempt(self, attempt: Attempt, at: datetime) -> "Acquisition":
        """With its running attempt changed. Raises WrongState when that is not the one that runs."""
        if self.attempt is None or self.attempt.number != attempt.number:
            raise WrongState(f"{self.name} has no running attempt {attempt.number}.", metadata={"name": self.name})
        return replace(self, attempts=(*self.attempts[:-1], attempt), updated=at)

    def attempt_failed(self, failure: Failure, at: datetime) -> "Acquisition":
        """With the running attempt failed; the acquisition itself goes on."""
        if self.attempt is None:
            raise WrongState(f"{self.name} has no running attempt.", metadata={"name": self.name})
        return self.with_attempt(self.attempt.failed(failure, at), at)

    def completed(self, files: tuple[LibraryFile, ...], at: datetime, missing: tuple[Track, ...] = ()) -> "Acquisition":
        """The verified album is in the library: these files, without these tracks of it."""
        done = self.moved(State.COMPLETED, at)
        if self.attempt is not None:
            done = done._closed(self.attempt.succeeded(at))
        return replace(done, files=files, missing=missing, ended=at, due=None)

    def failed(self, failure: Failure, at: datetime) -> "Acquisition":
        """Given up; a running attempt fails with it. After a fallback the failure tells what both sources said."""
        done = self.moved(State.FAILED, at)
        if self.attempt is not None:
            done = done._closed(self.attempt.failed(failure, at))
        return replace(done, failure=self._told(failure), ended=at, due=None)

    def handed_over(self, at: datetime) -> "Acquisition":
        """A FAILED one that nobody has seen yet, queued for its fallback. Raises WrongState where no source is left."""
        if self.next_source is None or self.failure is None:
            raise WrongState(f"{self.name} has no source left.", metadata={"name": self.name})
        queued = replace(self.moved(State.QUEUED, at), given_up=self.failure, failure=None, ended=None)
        if any(attempt.source is self.source for attempt in self.attempts):
            return queued
        tried = queued.tried(self.source, "", at)  # so that the attempts tell of both sources
        return tried.attempt_failed(self.failure, at)

    def without_fallback(self, why: str) -> "Acquisition":
        """A FAILED one whose fallback was left out: its failure says why. Raises WrongState for any other."""
        if self.failure is None:
            raise WrongState(f"{self.name} has not failed.", metadata={"name": self.name})
        told = f"{self.failure.message} The fallback {self.fallback} was left out: {why}"
        return replace(self, failure=replace(self.failure, message=told))

    def cancelled(self, at: datetime) -> "Acquisition":
        """Stopped by a person; a running attempt stops with it."""
        done = self.moved(State.CANCELLED, at)
        if self.attempt is not None:
            done = done._closed(self.attempt.stopped(at))
        return replace(done, ended=at, due=None)

    def retried(self, at: datetime) -> "Acquisition":
        """Started again: the same resource, its attempts kept. Raises WrongState unless it is FAILED or CANCELLED."""
        if self.active:
            raise WrongState(f"{self.name} is {self.state}: it has not ended.", metadata={"name": self.name})
        again = self.moved(State.QUEUED, at)
        return replace(again, failure=None, given_up=None, ended=None, due=None, files=(), missing=())

    def _told(self, failure: Failure) -> Failure:
        if self.given_up is None:
            return failure
        message = f"{self.source}: {self.given_up.message} Then {self.current}: {failure.message}"
        return Failure(reason=failure.reason, message=message)

    def _closed(self, attempt: Attempt) -> "Acquisition":
        return replace(self, attempts=(*self.attempts[:-1], attempt))
