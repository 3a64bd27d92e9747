"""The SQL of durable work, built once: the same text on SQLite and PostgreSQL.

Three rules hold everywhere. Time is the database's clock. Whatever a claim may do is guarded by its fence. The due time
of a job is decided from counters in its own row: a subquery would see the snapshot from before a wait for the row lock.
"""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Integer,
    Select,
    Text,
    Update,
    and_,
    bindparam,
    case,
    cast,
    column,
    exists,
    func,
    insert,
    literal,
    literal_column,
    not_,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert
from sqlalchemy.types import TypeDecorator, TypeEngine

from libs.sql.types import Json
from libs.work.job import PRIORITIES, NewJob
from libs.work.tables import WorkTables

ALL_QUEUES = "*"

# Claims of jobs with order keys come one after the other: each sees in its snapshot what the one before has taken.
# Row locks would not do: what keeps a job back are other rows, which may even be made or be due again meanwhile.
ORDER_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 3))")

CLAIM_COLUMNS = (
    "id",
    "queue",
    "kind",
    "state",
    "version",
    "data",
    "data_schema",
    "fence",
    "attempt",
    "crashes",
    "error",
    "cancel_requested",
    "signal_seq",
    "request_id",
    "traceparent",
)

Kind = TypeEngine[Any] | TypeDecorator[Any]

_ENDED: Mapping[str, Kind] = {
    "end_id": Text(),
    "end_owner": Text(),
    "end_fence": BigInteger(),
    "end_queue": Text(),
    "end_kind": Text(),
    "end_state": Text(),
    "end_done": Boolean(),
    "end_data": Json(),
    "end_schema": Integer(),
    "end_attempt": Integer(),
    "end_crashes": Integer(),
    "end_error": Text(),
    "end_seen": BigInteger(),
    "end_cancel_seen": Boolean(),
    "end_delay": BigInteger(),
}

_NEW: Mapping[str, Kind] = {
    "new_id": Text(),
    "new_queue": Text(),
    "new_kind": Text(),
    "new_state": Text(),
    "new_data": Json(),
    "new_data_schema": Integer(),
    "new_order_key": Text(),
    "new_priority": Integer(),
    "new_request_id": Text(),
    "new_traceparent": Text(),
    "new_delay": BigInteger(),
}
_AT_FIRST: Mapping[str, Any] = {
    "done": False,
    "version": 1,
    "fence": 0,
    "attempt": 0,
    "crashes": 0,
    "error": "",
    "cancel_requested": False,
    "paused": False,
    "signal_seq": 0,
}


def claim(
    tables: WorkTables, now: ColumnElement[int], parked: Collection[str] | None = None, *, ending: bool = False
) -> Update:
    """Takes due jobs, by priority, then by due time. Parameters: p_queue, p_owner, p_ttl (ms), p_limit.

    The pick is a CTE that is joined, not a subquery of IN: a planner may run that again for each row. That all
    priorities are named lets it read of each only what is due, and in order: neither jobs that wait nor those behind
    the limit cost anything. A job that is to be cancelled passes the switch and its own pause: its step only ends it.
    With `ending` those alone are taken. A lease that ran out without a word counts as a crash. With `parked`, order
    keys are obeyed; on PostgreSQL `ORDER_LOCK` comes first.
    """
    work = tables.work
    in_order = true() if parked is None else _in_order(tables, now, parked)
    pick = (
        (_ending(tables) if ending else _in_line(tables))
        .where(
            tables.unfinished,
            work.c.queue == _text("p_queue"),
            work.c.due <= now,
            or_(work.c.lease_until.is_(None), work.c.lease_until < now),
            in_order,
        )
        .limit(bindparam("p_limit", type_=Integer))
        .with_for_update(of=work, skip_locked=True)
        .cte("pick")
    )
    return (
        update(work)
        .where(work.c.id == pick.c.picked)
        .values(
            lease_owner=_text("p_owner"),
            lease_until=now + _int("p_ttl"),
            fence=work.c.fence + 1,
            crashes=work.c.crashes + case((work.c.lease_owner.is_not(None), 1), else_=0),
        )
        .returning(*(work.c[name] for name in CLAIM_COLUMNS))
    )


def _in_line(tables: WorkTables) -> Select[Any]:
    """Those that may run, in their order."""
    work = tables.work
    paused = or_(work.c.paused, switched_off(tables, _text("p_queue")))
    return (
        select(work.c.id.label("picked"))
        .where(
            work.c.priority.in_([literal_column(str(each)) for each in PRIORITIES]),
            or_(work.c.cancel_requested, not_(paused)),
        )
        .order_by(work.c.priority.desc(), work.c.due)
    )


def _ending(tables: WorkTables) -> Select[Any]:
    return select(tables.work.c.id.label("picked")).where(tables.work.c.cancel_requested)


def lock_held(tables: WorkTables) -> Select[Any]:
    """Locks the rows of an owner in one order, so that heartbeats and batches never wait for each other. p_owner."""
    work = tables.work
    return select(work.c.id).where(work.c.lease_owner == _text("p_owner")).order_by(work.c.id).with_for_update()


def heartbeat(tables: WorkTables, now: ColumnElement[int]) -> Update:
    """Renews every lease of an owner, also of paused jobs: their steps are yet to stop. Parameters: p_owner, p_ttl."""
    work = tables.work
    paused = or_(work.c.paused, switched_off(tables, work.c.queue))
    return (
        update(work)
        .where(work.c.lease_owner == _text("p_owner"), tables.unfinished)
        .values(lease_until=now + _int("p_ttl"))
        .returning(work.c.id, work.c.fence, work.c.cancel_requested, paused.label("paused"))
    )


def release(tables: WorkTables, now: ColumnElement[int]) -> Update:
    """Gives a lease back. Parameters: p_id, p_owner, p_fence, p_seen, p_cancel_seen, p_delay."""
    work = tables.work
    cancel_seen = bindparam("p_cancel_seen", type_=Boolean)
    due = _due(tables, now, seen=_int("p_seen"), cancel_seen=cancel_seen, delay=_int("p_delay"))
    return update(work).where(_guard(tables)).values(lease_owner=None, lease_until=None, due=due).returning(work.c.id)


def guard(tables: WorkTables) -> Select[Any]:
    """Finds and locks the row of a claim that still holds. Parameters: p_id, p_owner, p_fence."""
    return select(tables.work.c.id).where(_guard(tables)).with_for_update(read=True)


def finish(tables: WorkTables, now: ColumnElement[int], dialect: str) -> Update:
    """Ends the steps of claims that still hold. Parameter: p_ends, JSON rows in the order of the columns `end_*`."""
    work = tables.work
    ended = rows_of("p_ends", _ENDED, dialect).cte("ended").c
    due = _due(tables, now, seen=ended.end_seen, cancel_seen=ended.end_cancel_seen, delay=ended.end_delay)
    return (
        update(work)
        .where(work.c.id == ended.end_id, work.c.fence == ended.end_fence, work.c.lease_owner == ended.end_owner)
        .values(
            queue=ended.end_queue,
            kind=ended.end_kind,
            state=ended.end_state,
            done=ended.end_done,
            paused=and_(work.c.paused, not_(ended.end_done)),
            data=ended.end_data,
            data_schema=ended.end_schema,
            attempt=ended.end_attempt,
            crashes=ended.end_crashes,
            error=ended.end_error,
            version=work.c.version + 1,
            due=due,
            updated=now,
            lease_owner=None,
            lease_until=None,
        )
        .returning(work.c.id, work.c.fence, work.c.version)
    )


def rows_of(name: str, columns: Mapping[str, Kind], dialect: str) -> Select[Any]:
    """The rows of one JSON parameter, a list of lists: a statement keeps its text however many there are.

    VALUES would be compiled anew for each number of rows, which costs more than all the rest.
    """
    rows: ColumnElement[Any] = _text(name) if dialect == "sqlite" else cast(_text(name), postgresql.JSONB)
    each = func.json_each if dialect == "sqlite" else func.jsonb_array_elements
    row = each(rows).table_valued(column("value"), name="given").c.value
    cell = _cell_of_text if dialect == "sqlite" else _cell_of_jsonb
    return select(*(cell(row, index, kind).label(name) for index, (name, kind) in enumerate(columns.items())))


def _cell_of_text(row: ColumnElement[Any], index: int, kind: Kind) -> ColumnElement[Any]:
    return func.json_extract(row, literal_column(f"'$[{index}]'"), type_=kind)


def _cell_of_jsonb(row: ColumnElement[Any], index: int, kind: Kind) -> ColumnElement[Any]:
    place: ColumnElement[int] = literal_column(str(index))
    return row.op("->")(place) if isinstance(kind, Json) else cast(row.op("->>")(place), kind)


def make(tables: WorkTables, now: ColumnElement[int], dialect: str) -> Insert:
    """Makes jobs without dedup keys. Parameter: p_jobs, JSON rows in the order of the columns `new_*`."""
    work = tables.work
    new = rows_of("p_jobs", _NEW, dialect).cte("new").c
    values: dict[str, ColumnElement[Any]] = {name.removeprefix("new_"): new[name] for name in _NEW}
    values["due"] = now + values.pop("delay")
    values |= {name: literal(value, work.c[name].type) for name, value in _AT_FIRST.items()}
    values |= {"created": now, "updated": now}
    return insert(work).from_select(list(values), select(*values.values()), include_defaults=False)


def create(tables: WorkTables, now: ColumnElement[int], dialect: str) -> Insert:
    """Makes a job, or finds the unfinished one with its dedup key: one statement, so it always finds one. p_delay."""
    work = tables.work
    statement = _insert(dialect)(work).values(due=now + _int("p_delay"), created=now, updated=now, **_AT_FIRST)
    upsert: Insert = statement.on_conflict_do_update(
        index_elements=[work.c.dedup_key],
        index_where=tables.unfinished,
        set_={"dedup_key": statement.excluded.dedup_key},
    ).returning(work.c.id, work.c.dedup_key)
    return upsert


def new_row(job: NewJob) -> dict[str, Any]:
    """What `make` and `create` both need of a job, in the order of `make`."""
    return {
        "id": job.id,
        "queue": job.queue,
        "kind": job.kind,
        "state": job.state,
        "data": job.data,
        "data_schema": job.data_schema,
        "order_key": job.order_key,
        "priority": job.priority,
    }


def pause(tables: WorkTables, dialect: str, *, version: int | None = None) -> Insert:
    """Sets a switch; one that is there only where it has this version, if one is given."""
    table = tables.queue
    statement = _insert(dialect)(table).values(version=1)
    changes = {name: statement.excluded[name] for name in ("paused", "reason", "actor")}
    upsert: Insert = statement.on_conflict_do_update(
        index_elements=[table.c.name],
        set_=changes | {"version": table.c.version + 1},
        where=None if version is None else table.c.version == version,
    ).returning(*table.c)
    return upsert


def reopen(tables: WorkTables, now: ColumnElement[int]) -> Update:
    """Makes a job that has ended due again. Parameter: p_id."""
    work = tables.work
    return (
        update(work)
        .where(work.c.id == _text("p_id"), work.c.done)
        .values(
            done=False,
            attempt=0,
            crashes=0,
            error="",
            cancel_requested=False,
            paused=False,
            due=now,
            updated=now,
            version=work.c.version + 1,
        )
        .returning(work.c.version)
    )


def request_cancel(tables: WorkTables, now: ColumnElement[int]) -> Update:
    """Marks an unfinished job. Parameter: p_id."""
    work = tables.work
    return (
        update(work)
        .where(work.c.id == _text("p_id"), tables.unfinished, not_(work.c.cancel_requested))
        .values(cancel_requested=true(), due=now, updated=now, version=work.c.version + 1)
        .returning(work.c.version, work.c.state)
    )


def _insert(dialect: str) -> Any:
    """Either dialect's INSERT: ON CONFLICT is spelled the same, but by two classes without a common one."""
    return postgresql.insert if dialect == "postgresql" else sqlite.insert


def switched_off(tables: WorkTables, name: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the switch of the queue, or the one of all, is off."""
    queue = tables.queue
    return exists().where(queue.c.name.in_([ALL_QUEUES, name]), queue.c.paused).correlate(tables.work)


def _in_order(tables: WorkTables, now: ColumnElement[int], parked: Collection[str]) -> ColumnElement[bool]:
    """No other job with the same key runs, and each earlier one has ended or is parked until later."""
    work, other = tables.work, tables.work.alias("other")
    waits = or_(other.c.due <= now, and_(true(), *(other.c.state != state for state in parked)))
    in_the_way = exists().where(
        not_(other.c.done),
        other.c.order_key.is_not(None),  # says what the partial index says
        other.c.order_key == work.c.order_key,
        other.c.id != work.c.id,
        or_(other.c.lease_until >= now, and_(other.c.id < work.c.id, waits)),
    )
    return or_(work.c.order_key.is_(None), not_(in_the_way))


def _guard(tables: WorkTables) -> ColumnElement[bool]:
    work = tables.work
    return and_(work.c.id == _text("p_id"), work.c.fence == _int("p_fence"), work.c.lease_owner == _text("p_owner"))


def _due(
    tables: WorkTables,
    now: ColumnElement[int],
    *,
    seen: ColumnElement[int],
    cancel_seen: ColumnElement[bool],
    delay: ColumnElement[int],
) -> ColumnElement[int]:
    """Now when a signal or a cancellation came that the step has not seen, else after the delay."""
    work = tables.work
    news = or_(work.c.signal_seq > seen, and_(work.c.cancel_requested, not_(cancel_seen)))
    return case((news, now), else_=now + delay)


def _text(name: str) -> ColumnElement[str]:
    return bindparam(name, type_=Text)


def _int(name: str) -> ColumnElement[int]:
    return bindparam(name, type_=BigInteger)
