"""The tables of durable work, for a service's own metadata.

`work` is the job and its lease; `work_signal` the inbox; `work_event` outbox and audit; `work_chain` the hashes that
prove it; `work_queue` the switches.
`lease_until` has no index: heartbeats then stay in their page (PostgreSQL's HOT updates).
"""

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
    not_,
)

from libs.sql.types import Json, OrderedText, Serial, UtcMillis


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkTables:
    """The five tables; a service joins its own rows to `work.c.id`."""

    work: Table
    signal: Table
    event: Table
    chain: Table
    queue: Table

    @property
    def unfinished(self) -> ColumnElement[bool]:
        """The predicate of the partial indexes: only a query that says it the same way may use them."""
        return unfinished(self.work)


def unfinished(work: Table) -> ColumnElement[bool]:
    """The one spelling of "this job has not ended" (`done IS false` would use no index)."""
    return not_(work.c.done)


def work_tables(metadata: MetaData) -> WorkTables:
    """Adds the tables of durable work to a service's metadata."""
    return WorkTables(
        work=_work(metadata),
        signal=_signal(metadata),
        event=_event(metadata),
        chain=_chain(metadata),
        queue=_queue(metadata),
    )


def _work(metadata: MetaData) -> Table:
    table = Table(
        "work",
        metadata,
        Column("id", OrderedText, primary_key=True),
        Column("queue", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("done", Boolean, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("data", Json, nullable=False),
        Column("data_schema", Integer, nullable=False),
        Column("due", UtcMillis, nullable=False),
        Column("lease_owner", Text),
        Column("lease_until", UtcMillis),
        Column("fence", BigInteger, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("crashes", Integer, nullable=False),
        Column("error", Text, nullable=False),
        Column("cancel_requested", Boolean, nullable=False),
        Column("signal_seq", BigInteger, nullable=False),
        Column("dedup_key", Text),
        Column("request_id", Text, nullable=False),  # of the call that made or reopened it; empty where there was none
        Column("traceparent", Text, nullable=False),
        Column("created", UtcMillis, nullable=False),
        Column("updated", UtcMillis, nullable=False),
        Column("order_key", Text),
        Column("priority", Integer, nullable=False, server_default="5"),  # 10 goes first
        Column("paused", Boolean, nullable=False, server_default=false()),
        postgresql_with={"fillfactor": 70},
    )
    _index_work(table)
    return table


def _index_work(table: Table) -> None:
    active = unfinished(table)
    Index("work_dedup", table.c.dedup_key, unique=True, postgresql_where=active, sqlite_where=active)
    claimed = (table.c.queue, table.c.priority.desc(), table.c.due)
    Index("work_claim", *claimed, postgresql_where=active, sqlite_where=active)
    ending = active & table.c.cancel_requested
    Index("work_cancel", table.c.queue, postgresql_where=ending, sqlite_where=ending)
    ordered = active & table.c.order_key.is_not(None)
    Index("work_order", table.c.order_key, table.c.id, postgresql_where=ordered, sqlite_where=ordered)
    leased = table.c.lease_owner.is_not(None)
    Index("work_lease", table.c.lease_owner, postgresql_where=leased, sqlite_where=leased)


def _signal(metadata: MetaData) -> Table:
    return Table(
        "work_signal",
        metadata,
        Column("job_id", OrderedText, ForeignKey("work.id", ondelete="CASCADE"), primary_key=True),
        Column("event_id", Text, primary_key=True),
        Column("seq", BigInteger, nullable=False),
        Column("body", Json, nullable=False),
        Column("received", UtcMillis, nullable=False),
        Column("consumed", Boolean, nullable=False),
        Index("work_signal_by_event", "event_id"),
    )


def _event(metadata: MetaData) -> Table:
    return Table(
        "work_event",
        metadata,
        Column("seq", Serial, primary_key=True, autoincrement=True),
        Column("job_id", OrderedText, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("from_state", Text, nullable=False),
        Column("to_state", Text, nullable=False),
        Column("actor", Text, nullable=False),
        Column("detail", Json, nullable=False),
        Column("at", UtcMillis, nullable=False),
        Index("work_event_by_job", "job_id", "seq"),
        sqlite_autoincrement=True,
    )


def _chain(metadata: MetaData) -> Table:
    return Table(
        "work_chain",
        metadata,
        Column("last_seq", BigInteger, primary_key=True, autoincrement=False),
        Column("first_seq", BigInteger, nullable=False),
        Column("previous", LargeBinary, nullable=False),
        Column("hash", LargeBinary, nullable=False),
    )


def _queue(metadata: MetaData) -> Table:
    return Table(
        "work_queue",
        metadata,
        Column("name", Text, primary_key=True),
        Column("paused", Boolean, nullable=False),
        Column("reason", Text, nullable=False),
        Column("actor", Text, nullable=False),
        Column("version", BigInteger, nullable=False),
    )
