"""The inbox in memory: the twin that passes the same conformance suite as the one on a database."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from libs.sql.paging import Order, PageTokens, SortKey
from services.webhooks import rows
from services.webhooks.domain.catalogue import Attempt, Attempts, Change, Page, Position, Query
from services.webhooks.domain.dead_letters import EventNotDead
from services.webhooks.domain.event import (
    REPLAYABLE,
    DeadReason,
    Event,
    EventNotEnded,
    EventNotFound,
    NewEvent,
    Origin,
    Progress,
    Receipt,
    State,
)
from services.webhooks.domain.processing import Claimed, Settled
from services.webhooks.tables import event as event_table
from services.webhooks.tables import work
from tests.support.memory_filters import matching

_CHANGES = 500
_REMATCHED = 500
_WINDOWS = {Origin.DELIVERY: timedelta(hours=1), Origin.BACKFILL: timedelta(minutes=10)}


@dataclass
class _Row:
    """An event and its job."""

    new: NewEvent
    sha256: str
    state: State
    due: datetime
    updated: datetime
    progress: Progress = field(default_factory=Progress)
    reason: DeadReason | None = None
    rival: str | None = None
    duplicates: int = 0
    version: int = 1
    fence: int = 0
    crashes: int = 0
    leased_until: datetime | None = None
    attempts: list[Attempt] = field(default_factory=list)
    facts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Lease:
    event_id: str
    fence: int


class _Sorted:
    """An event with its values of the sort columns, as `Page.cut` reads them."""

    def __init__(self, event: Event, order: Order) -> None:
        values: dict[Any, object] = {event_table.c.received_at: event.received_at, rows.UPDATED: event.updated_at}
        self.event = event
        self._mapping = {key.column: values.get(key.column, event.id) for key in order.keys}
        self.values: tuple[Any, ...] = tuple(self._mapping[key.column] for key in order.keys)


class MemoryEventStore:
    """Events in a dictionary; `now` is the clock of what would be the database."""

    def __init__(self, tokens: PageTokens, *, now: Callable[[], datetime]) -> None:
        self._tokens = tokens
        self._now = now
        self._rows: dict[str, _Row] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._log: list[str] = []

    async def add(self, events: Sequence[NewEvent]) -> list[Receipt]:
        return [self._add(new) for new in events]

    async def get(self, event_id: str) -> Event:
        row = self._row(event_id)
        return replace(self._event(row), headers=row.new.headers, body=row.new.body)

    async def told_since(self, keys: Collection[str], moment: datetime) -> frozenset[str]:
        told = [row.facts for row in self._rows.values() if row.new.received_at >= moment]
        return frozenset(keys).intersection(*[frozenset().union(*told)])

    async def claim(self, limit: int, lease: timedelta) -> list[Claimed]:
        due = sorted((row for row in self._rows.values() if self._claimable(row)), key=lambda row: row.due)
        for row in due[:limit]:
            row.crashes += row.leased_until is not None
            row.fence += 1
            row.leased_until = self._now() + lease
        return [await self._claimed(row) for row in sorted(due[:limit], key=lambda row: row.new.id)]

    async def settle(self, settled: Sequence[Settled]) -> frozenset[str]:
        kept = [each for each in settled if self._holds(each.claimed)]
        for each in kept:
            self._settle(self._rows[each.claimed.event.id], each)
        return frozenset(each.claimed.event.id for each in kept)

    async def release(self, claims: Sequence[Claimed]) -> None:
        for claimed in claims:
            if self._holds(claimed):
                row = self._rows[claimed.event.id]
                row.leased_until, row.due = None, self._now()

    async def replay(self, event_id: str, *, actor: str) -> Event:
        row = self._row(event_id)
        state = self._event(row).state
        if state not in REPLAYABLE:
            raise EventNotEnded(event_id, state)
        row.state, row.progress, row.reason = State.RECEIVED, Progress(again=True), None
        row.crashes, row.leased_until, row.due = 0, None, self._now()
        self._changed(row)
        return await self.get(event_id)

    async def discard(self, event_id: str) -> None:
        """As dead letters do it."""
        row = self._row(event_id)
        if row.state is State.IGNORED:
            return
        if row.state is not State.DEAD:
            raise EventNotDead(event_id, row.state)
        row.state, row.reason = State.IGNORED, None
        self._changed(row)

    async def rematch(self) -> int:
        unmatched = sorted(row.new.id for row in self._rows.values() if row.state is State.UNMATCHED)
        newest = [self._rows[event_id] for event_id in unmatched[-_REMATCHED:]]
        later = [row for row in newest if row.leased_until is None and row.due > self._now()]
        for row in later:
            row.due = self._now()
        return len(later)

    async def page(self, query: Query) -> Page:
        order = Order.parse(query.order_by, fields=rows.ORDERS, default="receive_time desc", unique=event_table.c.id)
        arguments = [query.filter, query.order_by, query.search]
        page = self._tokens.page(size=query.page_size, token=query.page_token, order=order, arguments=arguments)
        found = [event for event in self._matching(query.filter) if self._contains(event, query.search)]
        entries = [_Sorted(event, order) for event in found]
        for position, key in reversed(list(enumerate(order.keys))):
            entries.sort(key=partial(_value, position), reverse=key.descending)
        rest = [entry for entry in entries if page.after is None or _is_behind(entry.values, page.after, order.keys)]
        shown, token = page.cut(rest[: page.size + 1])  # type: ignore[type-var] # it reads no more than they have
        return Page(events=[entry.event for entry in shown], next_token=token)

    async def oldest(self, query_filter: str, behind: Position | None, limit: int) -> list[Event]:
        found = sorted(self._matching(query_filter), key=lambda event: (event.received_at, event.id))
        start = (behind.received_at, behind.event_id) if behind else None
        return [event for event in found if start is None or (event.received_at, event.id) > start][:limit]

    async def attempts(self, event_id: str, *, page_size: int, page_token: str) -> Attempts:
        order = Order(keys=(SortKey(column=work.event.c.seq, descending=False),))
        page = self._tokens.page(size=page_size, token=page_token, order=order, arguments=["attempts", event_id])
        shown, token = page.part(self._row(event_id).attempts, lambda attempt: (attempt.number,))
        return Attempts(attempts=shown, next_token=token)

    async def last_change(self) -> int:
        return len(self._log)

    async def changes(self, after: int, query_filter: str) -> tuple[list[Change], int]:
        steps = self._log[after : after + _CHANGES]
        newest = {event_id: after + number for number, event_id in enumerate(steps, 1)}
        found = [event for event in self._matching(query_filter) if event.id in newest]
        changed = [Change(number=newest[event.id], event=event) for event in found]
        return sorted(changed, key=lambda change: change.number), after + len(steps)

    async def backlog(self) -> tuple[int, timedelta]:
        due = [row.due for row in self._rows.values() if not row.state.ended]
        return len(due), max([timedelta(), *(self._now() - moment for moment in due)])

    async def ping(self) -> None:
        """It is always there."""

    def _add(self, new: NewEvent) -> Receipt:
        sha256 = hashlib.sha256(new.body).hexdigest()
        first = self._rows.get(self._keys.get((new.source, new.key), ""))
        if first is not None and _contradicts(first, new, sha256):
            key = (new.source, f"{new.key}#{sha256}")
            rival = _Row(new, sha256, State.DEAD, self._now(), self._now(), rival=first.new.id)
            rival.reason = DeadReason.KEY_CONFLICT
            rival.progress = Progress(error=f"events/{first.new.id} has the same delivery id and another body")
            return self._keep(key, rival)
        state = State.IGNORED if new.ignored else State.RECEIVED
        row = _Row(new, sha256, state, self._now(), self._now(), progress=Progress(error=new.ignored))
        row.facts = frozenset() if new.ignored else frozenset(new.facts)
        return self._keep((new.source, new.key), row)

    def _keep(self, key: tuple[str, str], row: _Row) -> Receipt:
        first = self._rows.get(self._keys.setdefault(key, row.new.id))
        if first is None:
            self._rows[row.new.id] = row
            self._log.append(row.new.id)
            return Receipt(event_id=row.new.id, duplicate=False, conflict=row.rival is not None)
        first.duplicates += 1
        first.updated = self._now()
        self._log.append(first.new.id)
        return Receipt(event_id=first.new.id, duplicate=True)

    def _row(self, event_id: str) -> _Row:
        if event_id not in self._rows:
            raise EventNotFound(event_id)
        return self._rows[event_id]

    def _runs(self, row: _Row) -> bool:
        return row.leased_until is not None and row.leased_until >= self._now()

    def _claimable(self, row: _Row) -> bool:
        free = not row.state.ended and row.due <= self._now() and not self._runs(row)
        return free and not any(self._is_in_the_way(other, row) for other in self._rows.values())

    def _is_in_the_way(self, other: _Row, row: _Row) -> bool:
        if other is row or other.state.ended or other.new.order_key is None or other.new.order_key != row.new.order_key:
            return False
        parked = other.state is State.UNMATCHED and other.due > self._now()
        return self._runs(other) or (other.new.id < row.new.id and not parked)

    async def _claimed(self, row: _Row) -> Claimed:
        event = replace(await self.get(row.new.id), told=self._is_told(row))
        return Claimed(event=event, lease=_Lease(row.new.id, row.fence), crashes=row.crashes)

    def _is_told(self, row: _Row) -> bool:
        told: set[str] = set()
        for other in self._rows.values():
            apart = abs(other.new.received_at - row.new.received_at)
            other_way = other.new.origin is not row.new.origin and apart <= _WINDOWS[row.new.origin]
            has_told = other.state is State.DONE and not other.progress.error
            will_tell = other.state is State.UNMATCHED and other.new.id < row.new.id
            if other_way and (has_told or will_tell):
                told |= other.facts
        return bool(row.facts) and row.facts <= told and not row.progress.again

    def _holds(self, claimed: Claimed) -> bool:
        assert isinstance(claimed.lease, _Lease)
        row = self._rows[claimed.lease.event_id]
        return row.fence == claimed.lease.fence and row.leased_until is not None

    def _settle(self, row: _Row, settled: Settled) -> None:
        end = settled.settlement
        row.state, row.progress, row.reason = end.state, end.progress, end.reason
        row.due, row.leased_until = self._now() + (end.delay or timedelta()), None
        if end.delay is not None:
            row.crashes = 0
        self._changed(row)
        attempt = Attempt(
            number=len(row.attempts) + 1,
            to_state=end.state,
            error=end.progress.error,
            reason=end.reason,
            duration=timedelta(milliseconds=round(settled.seconds * 1000)),
            actor="memory",
            ended_at=self._now(),
        )
        row.attempts.append(attempt)

    def _changed(self, row: _Row) -> None:
        row.version += 1
        row.updated = self._now()
        self._log.append(row.new.id)

    def _event(self, row: _Row) -> Event:
        state = State.PROCESSING if self._runs(row) else row.state
        return Event(
            id=row.new.id,
            source=row.new.source,
            type=row.new.type,
            state=state,
            origin=row.new.origin,
            reason=row.reason,
            conflicting_event=row.rival,
            body_sha256=row.sha256,
            progress=row.progress,
            duplicates=row.duplicates,
            next_attempt_at=row.due if state in (State.RETRY, State.UNMATCHED) else None,
            headers={},
            body=b"",
            body_size=len(row.new.body),
            received_at=row.new.received_at,
            updated_at=row.updated,
            version=row.version + row.fence + row.duplicates,
        )

    def _matching(self, query_filter: str) -> list[Event]:
        matches = matching(query_filter)
        return [event for event in map(self._event, self._rows.values()) if matches(event)]

    def _contains(self, event: Event, needle: str) -> bool:
        return needle.encode() in self._rows[event.id].new.body


def _value(position: int, entry: _Sorted) -> Any:
    return entry.values[position]


def _contradicts(first: _Row, new: NewEvent, sha256: str) -> bool:
    delivered = first.new.origin is new.origin is Origin.DELIVERY
    return delivered and first.sha256 != sha256


def _is_behind(values: Sequence[Any], after: Sequence[Any], keys: Sequence[SortKey]) -> bool:
    for value, last, key in zip(values, after, keys, strict=True):
        if value != last:
            return bool(value < last) is key.descending
    return False
