"""Dead letters: events that were given up and wait until a person decides about them.

DEAD ──replay──> RECEIVED    processed once more, with all its tries
DEAD ──discard──> IGNORED    nothing more is needed
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from libs.errors import FailedPrecondition
from services.webhooks.domain.catalogue import Page
from services.webhooks.domain.event import Event, State

SAMPLES = 5
_LONGEST_ERROR = 200
_ID = re.compile(
    r"""\b(?: [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}    # a UUID
          | [a-z]{2,12}-[0-9a-hjkmnp-tv-z]{26}                # ours, as libs.ids makes them
          | (?=[a-f]*[0-9])[0-9a-f]{16,}                      # a hash, a download id
        )\b""",
    re.VERBOSE | re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:\.\d+)*")


class EventNotDead(FailedPrecondition):
    """The event is no dead letter: there is nothing to decide."""

    reason = "EVENT_NOT_DEAD"

    def __init__(self, event_id: str, state: State) -> None:
        super().__init__(
            f"event {event_id} is {state}: it is no dead letter",
            metadata={"event": f"events/{event_id}", "state": state},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which dead letters, newest first, as the caller wrote it; `offset` counts without a page token only."""

    filter: str = ""
    page_size: int = 0
    page_token: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How many dead letters there are, and how long ago the oldest and the newest were received."""

    by_source: Mapping[str, int] = field(default_factory=dict)
    by_reason: Mapping[str, int] = field(default_factory=dict)
    oldest: timedelta | None = None
    newest: timedelta | None = None

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.by_reason.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What dead letters of one group have in common; `error` is normalised."""

    source: str
    type: str
    reason: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Dead letters of one kind, with the ids of the newest few."""

    kind: Kind
    count: int
    first: datetime
    last: datetime
    samples: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPage:
    """Some groups, the largest first; the token leads to the next ones, and is empty on the last page."""

    groups: Sequence[Group]
    next_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """An event after a decision about it; `is_new` unless it was decided so before."""

    event: Event
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What became of a selection: how many are processed once more, and why others are not, by id.

    `decided` are those that were not on their way already.
    """

    replayed: int
    decided: int
    errors: Mapping[str, str]


class DeadLetters(Protocol):
    """The dead letters, for those who decide about them."""

    async def page(self, query: Query) -> Page:
        """A page of dead letters; raises InvalidArgument for a filter or token that cannot be read."""
        ...

    async def summary(self) -> Summary:
        """How many there are."""
        ...

    async def groups(self, *, page_size: int, page_token: str) -> GroupPage:
        """A page of groups; raises InvalidArgument for a token that cannot be read."""
        ...

    async def replay(self, event_id: str, *, actor: str) -> Decision:
        """Process one once more; one that is on its way already stays so. Raises EventNotFound or EventNotDead."""
        ...

    async def replay_many(self, event_ids: Sequence[str], *, actor: str) -> BatchResult:
        """Process some once more, each for itself."""
        ...

    async def discard(self, event_id: str, *, reason: str, actor: str) -> Decision:
        """Decide that nothing more is needed; an ignored event stays so. Raises EventNotFound or EventNotDead."""
        ...


def normalised(error: str) -> str:
    """An error without what tells one case from another: `{id}` for ids and `{n}` for numbers, shortened."""
    return _NUMBER.sub("{n}", _ID.sub("{id}", error))[:_LONGEST_ERROR]
