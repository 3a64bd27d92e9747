"""A job as steps see it, and what a step may answer.

A job's row is also the API resource's row: its states are the service's own names. A step reads the data and the
signals of its claim, does one outside action and answers an Outcome; its end is one guarded transaction. After a crash
a step repeats, so each is idempotent.
"""

import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from libs.errors import InvalidArgument

if TYPE_CHECKING:  # pragma: no cover
    from sqlalchemy.ext.asyncio import AsyncConnection

Data = Mapping[str, Any]  # plain JSON values
NOW: Final = timedelta()
PRIORITIES: Final = range(1, 11)
DEFAULT_PRIORITY: Final = 5


class Keep(Enum):
    """The type of `KEEP`."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP  # "the data as it is": None and {} are data, too

Write = Callable[["AsyncConnection"], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be made. Of all jobs with the same `dedup_key`, only one is ever unfinished.

    Of those with the same `order_key`, only one runs at a time, and the one with the smallest id first. Of those that
    are due, the ones with the highest `priority` (1 to 10) go first.
    """

    id: str
    queue: str
    kind: str
    state: str
    data: Data = field(default_factory=dict)
    data_schema: int = 1
    dedup_key: str | None = None
    order_key: str | None = None
    priority: int = DEFAULT_PRIORITY
    delay: timedelta = NOW
    actor: str = ""
    detail: Data = field(default_factory=dict)  # of its first change

    def __post_init__(self) -> None:
        """Raises InvalidArgument for a priority that no claim would ever look at."""
        ensure_priority(self.priority)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to run one step of one job, until its lease ends. The fence only grows: it tells claims apart.

    `attempt` counts failures of this step so far, `crashes` the claims that ended without a word. `request_id` and
    `traceparent` are of the call that made the job: its steps are further parts of that request.
    """

    id: str
    queue: str
    kind: str
    state: str
    version: int
    data: Data
    data_schema: int
    owner: str
    fence: int
    attempt: int
    crashes: int
    error: str
    cancel_requested: bool
    signal_seq: int
    request_id: str = ""
    traceparent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a heartbeat found: a lease that was renewed, and whether its job is to be cancelled, or is paused.

    A job is paused by itself, or with its queue.
    """

    id: str
    fence: int
    cancel_requested: bool
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Something that happened, told to a job: `seq` counts the job's signals."""

    event_id: str
    seq: int
    body: Data
    received: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change of one job, in the order of commits: what a Watch stream sends and an audit reads."""

    seq: int
    job_id: str
    version: int
    from_state: str
    to_state: str
    actor: str
    detail: Data
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """The switch of a queue, or of all (`*`)."""

    name: str
    paused: bool
    reason: str
    actor: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The unfinished jobs of a queue: each is counted once, in the first of these that holds."""

    running: int = 0  # somebody has a lease for it
    paused: int = 0  # by itself: the switch of its queue is not counted
    due: int = 0
    waiting: int = 0  # for its time
    overdue: timedelta = NOW  # how long the most overdue of `due` has been due

    @property
    def unfinished(self) -> int:
        """All of them."""
        return self.running + self.paused + self.due + self.waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """The step succeeded: the job goes on in `state`, due after `delay` or at its next signal. Waiting is a long delay.

    `queue` and `kind` hand it over to the workers of another queue. `write` adds domain rows in the same transaction;
    it may run again when the database's answer was lost.
    """

    state: str
    data: Data | Keep = KEEP
    data_schema: int | None = None
    queue: str | None = None
    kind: str | None = None
    delay: timedelta = NOW
    write: Write | None = None
    detail: Data = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The job has ended in `state`; its dedup key is free again."""

    state: str
    data: Data | Keep = KEEP
    data_schema: int | None = None
    error: str = ""
    write: Write | None = None
    detail: Data = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """The step failed: it runs again after `after`, with its signals; `state` may tell people that it waits."""

    error: str
    after: timedelta
    state: str | None = None
    write: Write | None = None


Outcome = Next | Done | Retry


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The end of a step: the outcome, and how far the step had read the inbox (0: not at all)."""

    claim: Claim
    outcome: Outcome
    read_through: int = 0
    actor: str = ""


def ensure_priority(priority: int) -> None:
    """Raises InvalidArgument for a priority outside of 1 to 10."""
    if priority not in PRIORITIES:
        raise InvalidArgument.field("priority", "must be from 1 to 10")


def new_owner() -> str:
    """A name for this process as owner of leases: host, pid and chance, new at each start."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(6).hex()}"
