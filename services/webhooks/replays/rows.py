"""Replays between the domain and their rows, and the events that they select."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, false, func, or_, select

from libs.sql.filters import compile_filter
from libs.sql.paging import Order, SortKey
from services.webhooks.domain.event import DeadReason, State
from services.webhooks.domain.replays import NewReplay, Replay, ReplayState, Selection
from services.webhooks.rows import FILTERS, STATE
from services.webhooks.tables import event, replay, work

_job = work.work

REPLAYS: Select[Any] = select(
    *(column for column in replay.c if column.name not in ("last_received_at", "last_event")),
    _job.c.state,
    _job.c.error,
    _job.c.updated,
    _job.c.version,
).join(_job, _job.c.id == replay.c.id)

OLDEST_FIRST = Order(
    keys=(SortKey(column=event.c.received_at, descending=False), SortKey(column=event.c.id, descending=False))
)
NEWEST_REPLAY_FIRST = Order(
    keys=(SortKey(column=replay.c.created, descending=True), SortKey(column=replay.c.id, descending=True))
)


def selected(selection: Selection, began: ColumnElement[Any] | datetime) -> ColumnElement[bool]:
    """The events of a selection that were stored before the replay began; raises InvalidArgument for the filter."""
    return and_(compile_filter(selection.filter, FILTERS), _job.c.created <= began, *_bounds(selection))


def replayable(selection: Selection, began: ColumnElement[Any] | datetime) -> ColumnElement[bool]:
    """Those events that are not passed over: nobody works on them, and nothing happened to them since it began.

    Unmatched ones are looked at again and again by themselves, so for them that is nothing new.
    """
    states = [State.DEAD, State.IGNORED, *([State.DONE] if selection.force else [])]
    unchanged = and_(STATE.in_(states), _job.c.updated <= began)
    contradicts = false() if selection.force else event.c.reason == DeadReason.KEY_CONFLICT
    return and_(or_(unchanged, STATE == State.UNMATCHED), ~contradicts)


def window(selection: Selection, after: tuple[datetime, str] | None, size: int) -> Subquery:
    """The next events behind a place, in the order in which they are looked at, whether they match or not.

    It walks an index, however few events match: no planner gets an idea of the whole table.
    """
    statement = select(event.c.id, event.c.received_at).where(*_bounds(selection))
    if after is not None:
        statement = statement.where(OLDEST_FIRST.after(after))
    return statement.order_by(*OLDEST_FIRST.clauses()).limit(size).subquery()


def judged(seen: Subquery, condition: ColumnElement[bool], taken: ColumnElement[bool]) -> Select[Any]:
    """Each event of a window: whether it matches, and whether it is to be taken then."""
    columns = seen.c.id, seen.c.received_at, condition.label("matches"), taken.label("taken")
    statement = select(*columns).join(event, event.c.id == seen.c.id).join(_job, _job.c.id == seen.c.id)
    return statement.order_by(seen.c.received_at, seen.c.id)


def events_of(condition: ColumnElement[bool]) -> Select[Any]:
    """Events that fulfil a condition, in the order in which they are looked at."""
    statement = select(event.c.id, event.c.received_at).join(_job, _job.c.id == event.c.id).where(condition)
    return statement.order_by(*OLDEST_FIRST.clauses())


def count_of(condition: ColumnElement[bool], taken: ColumnElement[bool]) -> Select[int, int]:
    """How many fulfil it, and how many of them would be taken."""
    counts = select(func.count(), func.count().filter(taken))
    return counts.select_from(event).join(_job, _job.c.id == event.c.id).where(condition)


def replay_row(new: NewReplay, matched: int, began: datetime) -> dict[str, Any]:
    """A new replay's row."""
    selection = new.selection
    return {
        "id": new.id,
        "filter": selection.filter,
        "events": list(selection.events),
        "force": selection.force,
        "events_per_second": new.rate,
        "since": selection.since,
        "until": selection.until,
        "matched": matched,
        "replayed": 0,
        "skipped": 0,
        "actor": new.actor,
        "request_id": new.request_id,
        "created": began,
    }


def replay_of(row: Mapping[str, Any]) -> Replay:
    """The replay in a row of `REPLAYS`."""
    return Replay(
        id=row["id"],
        state=ReplayState(row["state"]),
        selection=Selection(
            filter=row["filter"],
            events=tuple(row["events"]),
            since=row["since"],
            until=row["until"],
            force=row["force"],
        ),
        rate=row["events_per_second"],
        matched=row["matched"],
        replayed=row["replayed"],
        skipped=row["skipped"],
        error=row["error"],
        actor=row["actor"],
        request_id=row["request_id"],
        created=row["created"],
        updated=row["updated"],
        version=row["version"],
    )


def _bounds(selection: Selection) -> list[ColumnElement[bool]]:
    """What the ledger alone tells."""
    conditions: list[ColumnElement[bool]] = []
    if selection.events:
        conditions.append(event.c.id.in_(selection.events))
    if selection.since is not None:
        conditions.append(event.c.received_at >= selection.since)
    if selection.until is not None:
        conditions.append(event.c.received_at < selection.until)
    return conditions
