"""Automations: what the suite does of its own accord, when it is due, and what came of each action.

An automation        OFF ◄──► ON      while the kill switch is on, an ON one is HELD
An action            PENDING ──► DONE | FAILED       THROTTLED and PLANNED: nothing was done

An action is PENDING before anything is done. Whoever finds one that somebody left so does it again under the etag that
its target had then: where it was done already, that etag is gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from libs.errors import Conflict, NotFound
from services.config.domain.safety import Switch

MOST_OF_RUN = 100  # actions
MOST_LOOKED_AT = 1000  # candidates a run, of which some may not be acted upon
KEPT = timedelta(days=90)  # for so long actions are told of


class AutomationNotFound(NotFound):
    """There is no such automation."""

    reason = "AUTOMATION_NOT_FOUND"

    def __init__(self, automation: str) -> None:
        super().__init__(f"there is no automations/{automation}", metadata={"name": f"automations/{automation}"})


class AutomationChanged(Conflict):
    """The automation is not the one that the caller read."""

    reason = "ETAG_MISMATCH"


class RunHeld(Exception):
    """The kill switch is on, or cannot be read: the run goes on later."""


class RunLost(Exception):
    """The run is over: the automation was switched off, or another process has taken it over."""


class State(StrEnum):
    """Whether an automation runs."""

    OFF = "OFF"
    ON = "ON"
    HELD = "HELD"


class ActionStatus(StrEnum):
    """What came of an action."""

    PENDING = "PENDING"
    DONE = "DONE"
    FAILED = "FAILED"
    THROTTLED = "THROTTLED"
    PLANNED = "PLANNED"


COUNTED = (ActionStatus.PENDING, ActionStatus.DONE, ActionStatus.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """An automation that the suite knows: what it is, and how often it runs unless somebody says otherwise."""

    id: str
    title: str
    description: str
    interval: timedelta


RETRY_UNAVAILABLE = Kind(
    id="retry-unavailable",
    title="Retry what nobody had",
    description="Tries acquisitions again that failed because no source offered the album, those that failed first "
    f"first, at most {MOST_OF_RUN} a run.",
    interval=timedelta(days=1),
)
KINDS = {kind.id: kind for kind in (RETRY_UNAVAILABLE,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Automation:
    """An automation as people see it; `version` counts their changes of it."""

    kind: Kind
    enabled: bool
    interval: timedelta
    next_run_at: datetime | None
    last_run_at: datetime | None
    last_result: str
    actor: str
    updated_at: datetime
    version: int

    @property
    def name(self) -> str:
        """Its resource name."""
        return f"automations/{self.kind.id}"

    @property
    def etag(self) -> str:
        """Changes with every change; the quotes belong to it (AIP-154)."""
        return f'"{self.version}"'

    def state(self, switch: Switch) -> State:
        """Whether it runs."""
        if not self.enabled:
            return State.OFF
        return State.ON if switch is Switch.OFF else State.HELD

    def ensure_etag(self, etag: str) -> None:
        """Raises AutomationChanged, with the current etag, for another one; an empty one is every one."""
        if etag and etag != self.etag:
            message = f"{self.name} was changed meanwhile: read it, then decide again."
            raise AutomationChanged(message, metadata={"name": self.name, "etag": self.etag})

    def due(self, now: datetime, *, enabled: bool, interval: timedelta) -> datetime | None:
        """When it runs next once it is so: never twice within the interval, and at once where it never ran."""
        if not enabled:
            return None
        return now if self.last_run_at is None else max(now, self.last_run_at + interval)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What somebody wants to be different; None leaves it."""

    enabled: bool | None = None
    interval: timedelta | None = None
    etag: str = ""
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of an automation by one process: its number, and the fence of whoever does it now."""

    automation: str
    number: int
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What an automation could act upon: its target as it is now, by its etag, and for whom."""

    target: str
    user: str
    etag: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that an automation did, is about to do, or would have done."""

    id: str
    automation: str
    user: str
    target: str
    description: str
    status: ActionStatus
    reason: str
    etag: str
    acted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an action that was tried."""

    status: ActionStatus
    reason: str = ""


class Doer(Protocol):
    """Does what one automation is for."""

    async def candidates(self, limit: int) -> Sequence[Candidate]:
        """What it could act upon now, the most urgent first; raises AppError."""
        ...

    async def act(self, action: Action) -> Outcome:
        """Does it, under the etag of the action. Raises Unavailable where it is not known whether it was done."""
        ...
