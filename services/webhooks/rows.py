"""Events between the domain and their rows."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, case, null, select

from libs.sql.filters import EnumField, Field, TextField, TimeField
from libs.sql.types import from_millis, millis, now_ms
from libs.work.job import Done, Next
from services.webhooks.domain.event import Event, NewEvent, Progress, State
from services.webhooks.domain.lifecycle import Settlement
from services.webhooks.tables import event, event_body, work

_job = work.work
_leased = _job.c.lease_until.is_not(None) & (_job.c.lease_until >= now_ms())

TODAY = now_ms() // 86_400_000
"""The day of the database's clock, counted from 1970 in UTC."""

STATE = case((_leased, State.PROCESSING.value), else_=_job.c.state)
"""PROCESSING is a lease that holds, so it ends by itself when its holder dies."""

UPDATED = case((event.c.updated_at > _job.c.updated, event.c.updated_at), else_=_job.c.updated).label("updated")
FILTERS: Mapping[str, Field] = {
    "source": TextField(event.c.source),
    "type": TextField(event.c.type),
    "state": EnumField(STATE, {state.value: state.value for state in State}),
    "receive_time": TimeField(event.c.received_at),
}
ORDERS = {"receive_time": event.c.received_at, "update_time": UPDATED, "name": event.c.id}

_BODY = (event_body.c.stored_on == event.c.stored_on) & (event_body.c.event_id == event.c.id)
_DUE = case((_job.c.done | _leased, null()), else_=_job.c.due)
_VERSION = _job.c.version + _job.c.fence + event.c.duplicates


def events() -> Select[Any]:
    """Every event as an overview."""
    return select(*_COLUMNS).join(_job, _job.c.id == event.c.id)


def whole_events() -> Select[Any]:
    """Every event with its headers and body."""
    columns = [*_COLUMNS, event_body.c.headers, event_body.c.body]
    return select(*columns).join(_job, _job.c.id == event.c.id).join(event_body, _BODY)


def event_of(row: Mapping[str, Any]) -> Event:
    """The event in a row of either select."""
    state = State(row["state"])
    waiting = state in (State.RETRY, State.UNMATCHED)
    return Event(
        id=row["id"],
        source=row["source"],
        type=row["type"],
        state=state,
        progress=_progress(row["data"]),
        duplicates=row["duplicates"],
        next_attempt_at=row["due"] if waiting else None,
        headers=row.get("headers", {}),
        body=row.get("body", b""),
        body_size=row["body_size"],
        received_at=row["received_at"],
        updated_at=row["updated"],
        version=row["version"],
    )


def ledger_row(new: NewEvent) -> dict[str, Any]:
    """A new event's row in the ledger."""
    return {
        "id": new.id,
        "source": new.source,
        "type": new.type,
        "dedup_key": new.key,
        "body_size": len(new.body),
        "received_at": new.received_at,
        "body_sha256": hashlib.sha256(new.body).digest(),
    }


def body_row(new: NewEvent, stored_on: int) -> dict[str, Any]:
    """A new event's body, with the day on which the ledger has stored it."""
    return {
        "stored_on": stored_on,
        "event_id": new.id,
        "headers": dict(new.headers),
        "body": new.body,
    }


def outcome_of(settlement: Settlement) -> Next | Done:
    """What a settlement is for the engine; the lifecycle, not the engine, counts tries."""
    data, error = _data(settlement.progress), settlement.progress.error
    if settlement.delay is None:
        return Done(state=settlement.state, data=data, error=error)
    return Next(state=settlement.state, data=data, delay=settlement.delay)


def overdue(due: datetime | None, now: int) -> timedelta:
    """How long something has been due, by the database's clock."""
    return timedelta() if due is None else max(timedelta(), from_millis(now) - due)


def _data(progress: Progress) -> dict[str, Any]:
    since = progress.unmatched_since
    return {
        "tries": progress.tries,
        "failures": progress.failures,
        "unmatchedSince": None if since is None else millis(since),
        "acquisitions": list(progress.acquisitions),
        "error": progress.error,
    }


def _progress(data: Mapping[str, Any]) -> Progress:
    if not data:
        return Progress()
    since = data["unmatchedSince"]
    return Progress(
        tries=data["tries"],
        failures=data["failures"],
        unmatched_since=None if since is None else from_millis(since),
        acquisitions=tuple(data["acquisitions"]),
        error=data["error"],
    )


_COLUMNS = (
    event.c.id,
    event.c.source,
    event.c.type,
    event.c.body_size,
    event.c.duplicates,
    event.c.received_at,
    STATE.label("state"),
    _job.c.data,
    _DUE.label("due"),
    UPDATED,
    _VERSION.label("version"),
)
