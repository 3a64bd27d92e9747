"""The catalogue: how people and programs read events, follow them, and have them handled anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from services.webhooks.domain.event import DeadReason, Event, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which events, in which order, from where on: as the caller wrote it. `search` is a part of the body."""

    filter: str = ""
    search: str = ""
    order_by: str = ""
    page_size: int = 0
    page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some events without their bodies; the token leads to the next ones, and is empty on the last page."""

    events: Sequence[Event]
    next_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of handling an event; `number` counts them all, also those before a replay."""

    number: int
    to_state: State
    error: str
    reason: DeadReason | None
    duration: timedelta
    actor: str
    ended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """Some tries of one event; the token leads to the next ones."""

    attempts: Sequence[Attempt]
    next_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Behind which event a reader stands who reads from the oldest to the newest."""

    received_at: datetime
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An event as it is after a change; the changes are numbered in the order of their commits."""

    number: int
    event: Event


class Catalogue(Protocol):
    """The events, for those who look at them."""

    async def get(self, event_id: str) -> Event:
        """The event with its body; raises EventNotFound."""
        ...

    async def page(self, query: Query) -> Page:
        """A page of events; raises InvalidArgument for a filter, order or token that cannot be read."""
        ...

    async def attempts(self, event_id: str, *, page_size: int, page_token: str) -> Attempts:
        """A page of the tries of an event, oldest first; raises EventNotFound, or InvalidArgument for the token."""
        ...

    async def replay(self, event_id: str, *, actor: str) -> Event:
        """Let an ended or unmatched event be handled anew; raises EventNotFound or EventNotEnded."""
        ...


class ChangeLog(Protocol):
    """The changes of events, for those who follow them."""

    async def last_change(self) -> int:
        """The number of the newest change."""
        ...

    async def changes(self, after: int, query_filter: str) -> tuple[Sequence[Change], int]:
        """Some of the events that changed after that number and match now, and the number to go on from."""
        ...

    async def oldest(self, query_filter: str, behind: Position | None, limit: int) -> Sequence[Event]:
        """Events that match now, oldest first, behind a place; raises InvalidArgument for the filter."""
        ...
