"""Events between the domain and their rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    RowMapping,
    Select,
    Subquery,
    and_,
    case,
    exists,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite

from libs.sql.filters import EnumField, Field, TextField, TimeField
from libs.sql.types import duration_ms, from_millis, millis, now_ms
from libs.work.job import Done, Next
from services.webhooks.domain.catalogue import Attempt
from services.webhooks.domain.event import DeadReason, Event, Origin, Progress, State
from services.webhooks.domain.processing import Settled
from services.webhooks.tables import event, event_acquisition, event_body, event_fact, work

QUEUE = "webhooks"
KIND = "event"

# Both know ON CONFLICT, but have no common type that does.
INSERTS: Mapping[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}

_job = work.work
_leased = _job.c.lease_until.is_not(None) & (_job.c.lease_until >= now_ms())

BACKFILL_BEFORE = timedelta(hours=1)
"""A delivery that comes so soon after we found the same facts ourselves is about the same."""

DELIVERY_BEFORE = timedelta(minutes=10)
"""What we find so soon after its delivery is about the same: the two crossed each other."""

TODAY = now_ms() // 86_400_000
"""The day of the database's clock, counted from 1970 in UTC."""

STATE = case((_leased, State.PROCESSING.value), else_=_job.c.state)
"""PROCESSING is a lease that holds, so it ends by itself when its holder dies."""

_GIVEN_UP = event.c.reason != literal_column("''")  # as the index says it: a parameter would not let it be used

UPDATED = case((event.c.updated_at > _job.c.updated, event.c.updated_at), else_=_job.c.updated).label("updated")


@dataclass(frozen=True, slots=True)
class StateField:
    """The state, in words that let an index find the few that have not ended, and the few that are dead."""

    def condition(self, operator: str, value: str) -> ColumnElement[bool]:
        """Compares for equality."""
        equal = EnumField(STATE, {state.value: state.value for state in State}).condition("=", value)
        if State(value) is State.DEAD:
            equal = and_(_GIVEN_UP, event.c.reason.in_(list(DeadReason)), equal)
        elif not State(value).ended:
            equal = and_(work.unfinished, _job.c.queue == QUEUE, equal)
        return _either(operator, equal)


@dataclass(frozen=True, slots=True)
class NameField:
    """A resource's name, whole: `events/{event}`."""

    column: ColumnElement[Any]
    collection: str

    def condition(self, operator: str, value: str) -> ColumnElement[bool]:
        """Compares for equality."""
        if not value.startswith(self.collection):
            raise ValueError(f"{value!r} does not begin with {self.collection}")
        return _either(operator, and_(self.column.is_not(None), self.column == value.removeprefix(self.collection)))


@dataclass(frozen=True, slots=True)
class ReasonField:
    """Why an event is dead, in words that let an index find it."""

    def condition(self, operator: str, value: str) -> ColumnElement[bool]:
        """Compares for equality."""
        equal = EnumField(event.c.reason, {"": ""} | {reason: reason.value for reason in DeadReason}).condition(
            "=", value
        )
        return _either(operator, and_(_GIVEN_UP, equal) if value else equal)


@dataclass(frozen=True, slots=True)
class AcquisitionField:
    """The acquisitions that an event belongs to."""

    def condition(self, operator: str, value: str) -> ColumnElement[bool]:
        """Whether it belongs to this one."""
        related = select(event_acquisition.c.event_id).where(event_acquisition.c.acquisition == value)
        return _either(operator, event.c.id.in_(related))


def _either(operator: str, equal: ColumnElement[bool]) -> ColumnElement[bool]:
    if operator not in ("=", "!="):
        raise ValueError(f"{operator} does not apply: use = or !=")
    return equal if operator == "=" else not_(equal)


FILTERS: Mapping[str, Field] = {
    # Most events have one source: to walk them by time and look is cheaper than to sort all that an index finds.
    "source": TextField(func.coalesce(event.c.source, "")),
    "type": TextField(event.c.type),
    "state": StateField(),
    "origin": EnumField(event.c.origin, {origin.value: origin.value for origin in Origin}),
    "reason": ReasonField(),
    "acquisition": AcquisitionField(),
    "name": NameField(event.c.id, "events/"),
    "conflicting_event": NameField(event.c.conflicting_event, "events/"),
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
    """Every event with its headers and body, which may have been lost."""
    return events().add_columns(event_body.c.headers, event_body.c.body).outerjoin(event_body, _BODY)


def claimed_events() -> Select[Any]:
    """Every event as those who handle it need it."""
    return whole_events().add_columns(_told().label("told"))


def with_body() -> Select[Any]:
    """The ids of events whose bodies are there."""
    return select(event.c.id).join(event_body, _BODY)


def event_of(row: RowMapping) -> Event:
    """The event in a row of either select."""
    state = State(row["state"])
    waiting, progress = state in (State.RETRY, State.UNMATCHED), _progress(row["data"])
    return Event(
        id=row["id"],
        source=row["source"],
        type=row["type"],
        state=state,
        origin=Origin(row["origin"]),
        reason=DeadReason(row["reason"]) if row["reason"] else None,
        conflicting_event=row["conflicting_event"],
        progress=progress,
        duplicates=row["duplicates"],
        next_attempt_at=row["due"] if waiting else None,
        told=bool(row.get("told")) and not progress.again,
        headers=row.get("headers") or {},
        body=row.get("body") or b"",
        body_size=row["body_size"],
        body_sha256=(row["body_sha256"] or b"").hex(),
        received_at=row["received_at"],
        updated_at=row["updated"],
        version=row["version"],
    )


def tries(event_id: str, dialect: str) -> Subquery:
    """The tries of an event, numbered: those of its changes whose detail says which try it was."""
    change = work.event
    part = func.jsonb_extract_path if dialect == "postgresql" else func.json_extract
    path = "try" if dialect == "postgresql" else "$.try"
    number = func.row_number().over(order_by=change.c.seq).label("number")
    columns = (change.c.seq, number, change.c.to_state, change.c.detail, change.c.actor, change.c.at)
    return select(*columns).where(change.c.job_id == event_id, part(change.c.detail, path).is_not(None)).subquery()


def attempt_of(row: RowMapping) -> Attempt:
    """The try in a row of `tries`."""
    detail = row["detail"]
    return Attempt(
        number=row["number"],
        to_state=State(row["to_state"]),
        error=detail.get("error", ""),
        reason=DeadReason(detail["reason"]) if "reason" in detail else None,
        duration=timedelta(milliseconds=detail["ms"]),
        actor=row["actor"],
        ended_at=row["at"],
    )


def outcome_of(settled: Settled) -> Next | Done:
    """What a settled try is for the engine; the lifecycle, not the engine, counts tries."""
    settlement = settled.settlement
    data, error, detail = data_of(settlement.progress), settlement.progress.error, _detail(settled)
    if settlement.delay is None:
        return Done(state=settlement.state, data=data, error=error, detail=detail)
    return Next(state=settlement.state, data=data, delay=settlement.delay, detail=detail)


def overdue(due: datetime | None, now: int) -> timedelta:
    """How long something has been due, by the database's clock."""
    return timedelta() if due is None else max(timedelta(), from_millis(now) - due)


def data_of(progress: Progress) -> dict[str, Any]:
    """How far the handling is, in the job's data."""
    since = progress.unmatched_since
    return {
        "tries": progress.tries,
        "failures": progress.failures,
        "unmatchedSince": None if since is None else millis(since),
        "acquisitions": list(progress.acquisitions),
        "error": progress.error,
        "again": progress.again,
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
        again=data.get("again", False),  # absent where it is older
    )


def _detail(settled: Settled) -> dict[str, Any]:
    settlement = settled.settlement
    detail: dict[str, Any] = {"try": settlement.progress.tries, "ms": round(settled.seconds * 1000)}
    if settlement.progress.error:
        detail["error"] = settlement.progress.error
    return detail if settlement.reason is None else detail | {"reason": settlement.reason}


def _told() -> ColumnElement[bool]:
    """Whether all facts of an event were told by events that came to us in the other way.

    One that waits behind this one has told nothing yet, and a dead one nothing at all, nor one that left it to others.
    Of two that nobody waits for the later one leaves it to the first.
    """
    fact, other, other_fact, other_job = event_fact, event.alias("other"), event_fact.alias(), _job.alias()
    window = case((event.c.origin == Origin.DELIVERY, duration_ms(BACKFILL_BEFORE)), else_=duration_ms(DELIVERY_BEFORE))
    apart = func.abs(type_coerce(other.c.received_at, BigInteger) - type_coerce(event.c.received_at, BigInteger))
    elsewhere = (
        exists()
        .where(
            other_fact.c.key == fact.c.key,
            other.c.id == other_fact.c.event_id,
            other.c.origin != event.c.origin,
            apart <= window,
            other_job.c.id == other.c.id,
            or_(
                and_(other_job.c.state == State.DONE, other_job.c.error == literal_column("''")),
                and_(other_job.c.state == State.UNMATCHED, other.c.id < event.c.id),
            ),
        )
        .correlate(event, fact)  # by itself it would reach no further than the query around it
    )
    of_this = fact.c.event_id == event.c.id
    return and_(exists().where(of_this), not_(exists().where(of_this, not_(elsewhere))))


_COLUMNS = (
    event.c.id,
    event.c.source,
    event.c.type,
    event.c.body_size,
    event.c.duplicates,
    event.c.received_at,
    event.c.origin,
    event.c.reason,
    event.c.conflicting_event,
    event.c.body_sha256,
    STATE.label("state"),
    _job.c.data,
    _DUE.label("due"),
    UPDATED,
    _VERSION.label("version"),
)
