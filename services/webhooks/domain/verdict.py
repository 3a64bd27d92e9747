"""Verdicts: what handling an event came to, before anybody decides what follows from it."""

from dataclasses import dataclass
from datetime import timedelta

from services.webhooks.domain.event import DeadReason


@dataclass(frozen=True, slots=True, kw_only=True)
class TookEffect:
    """The event belongs to these acquisitions, and they know it now; `note` says how where that is a surprise."""

    acquisitions: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class NobodyWaits:
    """No acquisition of ours belongs to the event, at least not yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingToDo:
    """The event asks for nothing; `note` says why where that is a surprise."""

    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hopeless:
    """Trying again would fail in the same way."""

    error: str
    reason: DeadReason = DeadReason.REJECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """This try failed; the next one may not. `retry_after` is what the one who failed asked for."""

    error: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A service of ours is away: nobody's fault but ours, so the event spends no try on it."""

    error: str
    retry_after: timedelta | None = None


Verdict = TookEffect | NobodyWaits | NothingToDo | Hopeless | Failed | Outage
