"""Dead letters in SQL: how they are found, counted and grouped."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, func, literal_column, select, tuple_

from libs.sql.paging import Order, SortKey
from libs.sql.types import now_ms
from services.webhooks.domain.event import State
from services.webhooks.tables import event, work

_job = work.work
_given_up = event.c.reason != literal_column("''")  # as the partial index says it: SQLite uses it for nothing else
DEAD = _given_up & (_job.c.state == State.DEAD)

NEWEST_FIRST = Order(
    keys=(SortKey(column=event.c.received_at, descending=True), SortKey(column=event.c.id, descending=True))
)
TEXT = (event.c.source, event.c.type, event.c.reason, _job.c.error)
"""What dead letters with the same text have in common; a group has one or more texts."""

COUNTS = (
    select(
        event.c.source,
        event.c.reason,
        func.count().label("total"),
        func.min(event.c.received_at).label("first"),
        func.max(event.c.received_at).label("last"),
        now_ms().label("now"),
    )
    .where(_given_up)
    .group_by(event.c.reason, event.c.source)  # in this order SQLite prefers the index of what was given up
)


def texts(limit: int) -> Select[Any]:
    """The most frequent texts, how many dead letters have each, and when the first and the last were received."""
    count = func.count()
    columns = [*TEXT, count.label("total"), func.min(event.c.received_at).label("first")]
    return (
        select(*columns, func.max(event.c.received_at).label("last"))
        .join(_job, _job.c.id == event.c.id)
        .where(DEAD)
        .group_by(*TEXT)
        .order_by(count.desc(), *TEXT)
        .limit(limit)
    )


def newest_of(wanted: Collection[tuple[str, ...]], limit: int) -> Select[Any]:
    """The newest few dead letters of each of some texts, newest first."""
    position = func.row_number().over(partition_by=TEXT, order_by=NEWEST_FIRST.clauses())
    columns = [*TEXT, event.c.id, event.c.received_at, position.label("position")]
    numbered = select(*columns).join(_job, _job.c.id == event.c.id).where(DEAD, tuple_(*TEXT).in_(wanted)).subquery()
    newest = select(numbered).where(numbered.c.position <= limit)
    return newest.order_by(numbered.c.received_at.desc(), numbered.c.id.desc())
