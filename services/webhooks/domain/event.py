"""An event: a stored delivery, and what came of it.

    RECEIVED ──claim──> PROCESSING ──> DONE       took effect
        ▲                 │  │  │ └──> DEAD       given up, for a reason ──discard──> IGNORED
        │                 │  │  └────> IGNORED    nothing to do, or unmatched for a day
      replay              │  └───────> UNMATCHED  no acquisition of ours yet ──timer──> PROCESSING
        │                 └──────────> RETRY      failed, will be tried again ──timer──> PROCESSING
        └── DONE, DEAD, IGNORED, UNMATCHED

PROCESSING is a lease: when its holder dies, the event is claimed again. Two kinds of events end where they begin: one
of a disabled source is IGNORED, one that has the delivery id of another event and another body is DEAD.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from libs.errors import FailedPrecondition, NotFound


class State(StrEnum):
    """Where an event stands."""

    RECEIVED = "RECEIVED"
    PROCESSING = "PROCESSING"
    RETRY = "RETRY"
    UNMATCHED = "UNMATCHED"
    DONE = "DONE"
    DEAD = "DEAD"
    IGNORED = "IGNORED"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self in _ENDED


class Origin(StrEnum):
    """How an event came to us: its sender delivered it, or we found it in the sender's own records."""

    DELIVERY = "DELIVERY"
    BACKFILL = "BACKFILL"


class DeadReason(StrEnum):
    """Why an event is dead."""

    UNREADABLE = "UNREADABLE"  # not what its source sends
    REJECTED = "REJECTED"  # whom it was told to refused it for good
    HANDLER_ERROR = "HANDLER_ERROR"  # every try failed
    CRASH_LOOP = "CRASH_LOOP"  # its tries ended without a word
    KEY_CONFLICT = "KEY_CONFLICT"  # another event has its delivery id, and another body


_ENDED = frozenset({State.DONE, State.DEAD, State.IGNORED})
REPLAYABLE = _ENDED | {State.UNMATCHED}


class EventNotFound(NotFound):
    """There is no such event."""

    reason = "EVENT_NOT_FOUND"

    def __init__(self, event_id: str) -> None:
        super().__init__(f"there is no event {event_id}", metadata={"event": f"events/{event_id}"})


class EventNotEnded(FailedPrecondition):
    """The event is still on its way: replaying it would handle it twice."""

    reason = "EVENT_NOT_ENDED"

    def __init__(self, event_id: str, state: State) -> None:
        super().__init__(
            f"event {event_id} is {state}: it can be replayed once it has ended",
            metadata={"event": f"events/{event_id}", "state": state},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event to store: `key` is unique within its source.

    Events with the same `order_key` are handled one after the other. `facts` are the keys of what it tells, by which a
    back-fill sees that it was told. With `ignored`, a note, it is stored as IGNORED and never handled.
    """

    id: str
    source: str
    type: str
    key: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    origin: Origin = Origin.DELIVERY
    order_key: str | None = None
    facts: tuple[str, ...] = ()
    ignored: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The answer to a delivery once it is stored: the id of the event, of the first one for a duplicate.

    `challenge` is what the sender wants to hear back; mostly empty. `conflict` is for those who count: it has the
    delivery id of another event and another body.
    """

    event_id: str
    duplicate: bool
    challenge: str = ""
    conflict: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the handling of an event is.

    `tries` counts every try, `failures` those that spend the budget of three; `unmatched_since` is when nobody was
    first found to wait for it. `again` is said by a person: what it tells is to be told, whoever has told it before.
    """

    tries: int = 0
    failures: int = 0
    unmatched_since: datetime | None = None
    acquisitions: tuple[str, ...] = ()
    error: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event as it is now; `body` is empty where only an overview was asked for.

    `told` is known where it was claimed: whether events that came to us in the other way have told all it tells.
    `reason` is there while it is dead. `conflicting_event` has the same delivery id and another body. `body_sha256` is
    in hexadecimal.
    """

    id: str
    source: str
    type: str
    state: State
    origin: Origin = Origin.DELIVERY
    reason: DeadReason | None = None
    conflicting_event: str | None = None
    body_sha256: str = ""
    progress: Progress = field(default_factory=Progress)
    duplicates: int = 0
    next_attempt_at: datetime | None = None
    told: bool = False
    headers: Mapping[str, str]
    body: bytes
    body_size: int
    received_at: datetime
    updated_at: datetime
    version: int

    @property
    def etag(self) -> str:
        """Changes with every change of the event; the quotes belong to it (AIP-154)."""
        return f'"{self.version}"'
