"""The tables of durable work, step by step: services' Alembic revisions call these, so none of them ever changes."""

from collections.abc import Sequence

import sqlalchemy as sa

from libs.sql.ddl import Ddl
from libs.sql.types import Json, OrderedText, Serial, UtcMillis


def create_v1(op: Ddl) -> None:
    """Makes `work`, `work_signal`, `work_event` and `work_queue`, with their indexes."""
    _create_work(op)
    _create_indexes(op)
    op.create_table(
        "work_signal",
        sa.Column("job_id", OrderedText, sa.ForeignKey("work.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("body", Json, nullable=False),
        sa.Column("received", UtcMillis, nullable=False),
        sa.Column("consumed", sa.Boolean, nullable=False),
    )
    _create_event(op)
    op.create_table(
        "work_queue",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )


def add_v2(op: Ddl) -> None:
    """Adds the order of jobs that share a key, the way from an event to its signals, and the hash chain."""
    op.add_column("work", sa.Column("order_key", sa.Text))
    unfinished = sa.not_(sa.column("done", sa.Boolean))
    _create_index(op, "work_order", ["order_key", "id"], unfinished & sa.column("order_key", sa.Text).is_not(None))
    op.create_index("work_signal_by_event", "work_signal", ["event_id"])
    op.create_table(
        "work_chain",
        sa.Column("last_seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first_seq", sa.BigInteger, nullable=False),
        sa.Column("previous", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )


def add_v3(op: Ddl) -> None:
    """Adds the priority of jobs, by which they are claimed, and the pause of single ones."""
    op.add_column("work", sa.Column("priority", sa.Integer, nullable=False, server_default="5"))
    op.add_column("work", sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.false()))
    op.drop_index("work_claim", "work")
    claimed = ["queue", sa.column("priority", sa.Integer).desc(), "due"]
    unfinished = sa.not_(sa.column("done", sa.Boolean))
    _create_index(op, "work_claim", claimed, unfinished)
    _create_index(op, "work_cancel", ["queue"], unfinished & sa.column("cancel_requested", sa.Boolean))


def drop_v3(op: Ddl) -> None:
    """Takes back what `add_v3` adds: jobs are claimed by their due time again."""
    op.drop_index("work_cancel", "work")
    op.drop_index("work_claim", "work")
    _create_claim(op)
    op.drop_column("work", "paused")
    op.drop_column("work", "priority")


def drop_v2(op: Ddl) -> None:
    """Takes back what `add_v2` adds: without the chain nothing can be proved of what was before."""
    op.drop_table("work_chain")
    op.drop_index("work_signal_by_event", "work_signal")
    op.drop_index("work_order", "work")
    op.drop_column("work", "order_key")


def _create_work(op: Ddl) -> None:
    op.create_table(
        "work",
        sa.Column("id", OrderedText, primary_key=True),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("done", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("data_schema", sa.Integer, nullable=False),
        sa.Column("due", UtcMillis, nullable=False),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", UtcMillis),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("crashes", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("signal_seq", sa.BigInteger, nullable=False),
        sa.Column("dedup_key", sa.Text),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False),
        sa.Column("created", UtcMillis, nullable=False),
        sa.Column("updated", UtcMillis, nullable=False),
        postgresql_with={"fillfactor": 70},
    )


def _create_indexes(op: Ddl) -> None:
    unfinished = sa.not_(sa.column("done", sa.Boolean))
    leased = sa.column("lease_owner", sa.Text).is_not(None)
    _create_index(op, "work_dedup", ["dedup_key"], unfinished, unique=True)
    _create_claim(op)
    _create_index(op, "work_lease", ["lease_owner"], leased)


def _create_claim(op: Ddl) -> None:
    _create_index(op, "work_claim", ["queue", "due"], sa.not_(sa.column("done", sa.Boolean)))


def _create_index(
    op: Ddl, name: str, columns: Sequence[object], where: sa.ColumnElement[bool], *, unique: bool = False
) -> None:
    op.create_index(name, "work", columns, unique=unique, postgresql_where=where, sqlite_where=where)


def _create_event(op: Ddl) -> None:
    op.create_table(
        "work_event",
        sa.Column("seq", Serial, primary_key=True, autoincrement=True),
        sa.Column("job_id", OrderedText, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("from_state", sa.Text, nullable=False),
        sa.Column("to_state", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.Column("at", UtcMillis, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("work_event_by_job", "work_event", ["job_id", "seq"])
