"""The SQL of what people do to jobs that have not ended, and of what they look at: pauses, priorities, the backlog."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Integer,
    Select,
    Text,
    Update,
    and_,
    bindparam,
    case,
    func,
    literal,
    select,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.sql.selectable import CompoundSelect

from libs.work.statements import ALL_QUEUES
from libs.work.tables import WorkTables


def set_paused(tables: WorkTables, now: ColumnElement[int]) -> Update:
    """Pauses an unfinished job, or lets it go on. Parameters: p_id, p_value."""
    return _set(tables, now, tables.work.c.paused, bindparam("p_value", type_=Boolean))


def set_priority(tables: WorkTables, now: ColumnElement[int]) -> Update:
    """Gives an unfinished job another priority. Parameters: p_id, p_value."""
    return _set(tables, now, tables.work.c.priority, bindparam("p_value", type_=Integer))


def pauses(tables: WorkTables) -> CompoundSelect[Any]:
    """What keeps a job from running, with the reasons: switches, then the job itself. Parameters: p_id, p_queue."""
    work, queue = tables.work, tables.queue
    names = [ALL_QUEUES, bindparam("p_queue", type_=Text)]
    switches = select(queue.c.name, queue.c.reason).where(queue.c.name.in_(names), queue.c.paused)
    this = work.c.id == bindparam("p_id", type_=Text)
    return union_all(switches, select(work.c.id, literal("", Text)).where(this, work.c.paused))


def backlog(tables: WorkTables, now: ColumnElement[int]) -> Select[Any]:
    """Queues with what is unfinished in them. Parameter: p_queues, a list."""
    work = tables.work
    running = and_(work.c.lease_until.is_not(None), work.c.lease_until >= now)
    standing = case((running, "running"), (work.c.paused, "paused"), (work.c.due <= now, "due"), else_="waiting")
    jobs = select(work.c.queue, standing.label("standing"), type_coerce(work.c.due, BigInteger).label("due"))
    wanted = work.c.queue.in_(bindparam("p_queues", expanding=True))
    each = jobs.where(tables.unfinished, wanted).cte("each").c
    counts = (
        func.count().filter(each.standing == kind).label(kind) for kind in ("running", "paused", "due", "waiting")
    )
    first = func.min(each.due).filter(each.standing == "due")
    return select(each.queue, *counts, func.coalesce(now - first, 0).label("overdue")).group_by(each.queue)


def _set(tables: WorkTables, now: ColumnElement[int], column: Column[Any], value: ColumnElement[Any]) -> Update:
    """Changes a column of an unfinished job, unless it has that value."""
    work = tables.work
    return (
        update(work)
        .where(work.c.id == bindparam("p_id", type_=Text), tables.unfinished, column != value)
        .values({column: value, work.c.updated: now, work.c.version: work.c.version + 1})
        .returning(work.c.version, work.c.state)
    )
