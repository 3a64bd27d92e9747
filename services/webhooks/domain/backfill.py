"""Back-fill: what a sender's own records tell of which no delivery came, brought in behind the same door.

A sender that could not be asked is unknown, never empty: whoever looks raises, and nothing is concluded.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from libs.clock import Clock
from services.webhooks.domain.document import Document
from services.webhooks.domain.event import NewEvent, Origin, Receipt

OVERLAP = timedelta(minutes=10)  # between what was read and what is read next, and between two clocks
SETTLING = timedelta(seconds=10)  # in which a delivery of what was just written may still come
_EVER = datetime.fromtimestamp(0, UTC)
_STEP = 200  # events brought in at once: deliveries need room too


class Lack(StrEnum):
    """What is missing: named as a finding of the reconciler."""

    EVENT_MISSED = "EVENT_MISSED"
    REGISTRATION_BROKEN = "REGISTRATION_BROKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """One thing that is missing: `subject` is `events/{event}` once it is stored, else `sources/{source}`.

    `correction` is a sentence: what is to be done about it, or was.
    """

    lack: Lack = Lack.EVENT_MISSED
    subject: str
    correction: str


class Gap(Protocol):
    """One place where something may be missing; not set up means that nothing is."""

    @property
    def subject(self) -> str:
        """Whom it asks: `sources/lidarr`."""
        ...

    async def find(self) -> Sequence[Missed]:
        """What is missing; changes nothing. Raises AppError where the sender, or our database, cannot be asked."""
        ...

    async def fill(self) -> Sequence[Missed]:
        """Brings in what is missing, and says what it was; safe to repeat. Raises AppError like `find`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Something that a sender's records tell, as the event that it never sent.

    `key` is the event's dedup key, `at` when it happened by our clock, None where the records do not say.
    """

    key: str
    type: str
    at: datetime | None
    document: Document
    order_key: str | None = None
    facts: tuple[str, ...] = ()


class Door(Protocol):
    """Where events of our own making come in."""

    async def backfill(self, events: Sequence[NewEvent]) -> Sequence[Receipt]:
        """Store events in order, those with a known key only once; returns after the commit. Raises AppError."""
        ...


class Told(Protocol):
    """What events have told so far."""

    async def told_since(self, keys: Collection[str], moment: datetime) -> Collection[str]:
        """Those of the facts that an event told which came in since then."""
        ...


class Watermarks(Protocol):
    """How far each sender's records were read."""

    async def find(self, name: str) -> Mapping[str, Any] | None:
        """The position; None before the first one."""
        ...

    async def move(self, name: str, position: Mapping[str, Any]) -> None:
        """Set the position: only after everything before it is committed."""
        ...


class SenderLog(Protocol):
    """Who counts what we do with senders of our own accord."""

    def registered(self, source: str, registered: bool) -> None:
        """Whether our webhook is registered with it, as far as we know."""
        ...

    def backfilled(self, source: str, event_type: str) -> None:
        """An event was brought in."""
        ...


class Backfill:
    """Brings what one source's records tell into the inbox."""

    def __init__(
        self,
        door: Door,
        *,
        source: str,
        clock: Clock,
        new_id: Callable[[], str],
        log: SenderLog,
    ) -> None:
        self.subject = f"sources/{source}"
        self._door = door
        self._source = source
        self._clock = clock
        self._new_id = new_id
        self._log = log

    def planned(self, found: Sequence[Found]) -> list[Missed]:
        """What would be brought in."""
        return [Missed(subject=self.subject, correction=f"would bring in {_name(each)}") for each in found]

    async def bring_in(self, found: Sequence[Found]) -> list[Missed]:
        """Stores them in this order, and says which were new. Raises AppError: then some may be stored."""
        missed: list[Missed] = []
        for start in range(0, len(found), _STEP):
            step = found[start : start + _STEP]
            receipts = await self._door.backfill([self._event(each) for each in step])
            new = [(each, receipt) for each, receipt in zip(step, receipts, strict=True) if not receipt.duplicate]
            missed += [self._brought(each, receipt) for each, receipt in new]
        return missed

    def _event(self, found: Found) -> NewEvent:
        return NewEvent(
            id=self._new_id(),
            source=self._source,
            type=found.type,
            key=found.key,
            headers={},
            body=json.dumps(found.document, indent=2, sort_keys=True).encode(),
            received_at=self._clock.now(),
            origin=Origin.BACKFILL,
            order_key=found.order_key,
            facts=found.facts,
        )

    def _brought(self, found: Found, receipt: Receipt) -> Missed:
        self._log.backfilled(self._source, found.type)
        return Missed(subject=f"events/{receipt.event_id}", correction=f"brought in {_name(found)}")


def _name(found: Found) -> str:
    return f"{found.type or 'an event'} ({', '.join(found.facts) or found.key}), of which no webhook came"


def position_in(kept: Mapping[str, Any] | None, marks: frozenset[str]) -> Mapping[str, Any] | None:
    """The position in the records of the sender with these marks; None where it is one in another's records."""
    return None if kept is None or marks.isdisjoint(kept.get("of", marks)) else kept


def marked(position: Mapping[str, Any], marks: frozenset[str]) -> dict[str, Any]:
    """A position in the records of the sender with these marks."""
    return {**position, "of": sorted(marks)}


async def untold(found: Sequence[Found], told: Told) -> list[Found]:
    """Those of which some fact was not told since shortly before it happened."""
    missing = []
    for each in found:
        since = _EVER if each.at is None else each.at - OVERLAP
        if set(each.facts) - set(await told.told_since(each.facts, since)):
            missing.append(each)
    return missing
