"""The catalogue: how people and programs read events, follow them, and have them handled anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.webhooks.domain.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which events, in which order, from where on: as the caller wrote it."""

    filter: str = ""
    order_by: str = ""
    page_size: int = 0
    page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some events without their bodies; the token leads to the next ones, and is empty on the last page."""

    events: Sequence[Event]
    next_token: str = ""


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

    async def replay(self, event_id: str) -> Event:
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

    async def page(self, query: Query) -> Page:
        """As in Catalogue."""
        ...
