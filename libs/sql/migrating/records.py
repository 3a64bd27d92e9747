"""The record of what was applied, in the database that it was applied to.

`alembic_version` holds where a schema stands. `schema_revision` has a row for every revision on the way: its checksum,
when and by which release it was applied and how long that took, which is NULL for what was found there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any, Final

import sqlalchemy as sa

from libs.sql.migrating.revisions import Revision
from libs.sql.migrating.steps import Step
from libs.sql.types import UtcMillis, duration_ms

_METADATA: Final = sa.MetaData()
_POSITION: Final = sa.Table(
    "alembic_version",
    _METADATA,
    sa.Column("version_num", sa.String(32), primary_key=True),
)
_REVISION: Final = sa.Table(
    "schema_revision",
    _METADATA,
    sa.Column("revision", sa.Text, primary_key=True),
    sa.Column("checksum", sa.Text, nullable=False),
    sa.Column("applied_at", UtcMillis, nullable=False),
    sa.Column("release", sa.Text, nullable=False),
    sa.Column("duration_ms", sa.BigInteger),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A revision that a schema has had; `took` is None where it was found applied."""

    revision: str
    checksum: str
    applied_at: datetime
    release: str
    took: timedelta | None


def position(connection: sa.Connection) -> str:
    """The revision of the schema: empty when there is none."""
    if not sa.inspect(connection).has_table(_POSITION.name):
        return ""
    return connection.scalar(sa.select(_POSITION.c.version_num)) or ""


def records(connection: sa.Connection) -> Mapping[str, Record]:
    """What is recorded, by revision."""
    if not sa.inspect(connection).has_table(_REVISION.name):
        return {}
    rows = connection.execute(sa.select(_REVISION).order_by(_REVISION.c.revision))
    return {row.revision: _record(row) for row in rows}


def note_found(connection: sa.Connection, revisions: Sequence[Revision]) -> None:
    """Records revisions that the schema has, and that nobody recorded."""
    _METADATA.create_all(connection)
    for revision in revisions:
        _note(connection, revision, None)


def note_baseline(connection: sa.Connection, revisions: Sequence[Revision]) -> None:
    """Records revisions that the schema has, and that it is at the last of them."""
    _METADATA.create_all(connection)
    connection.execute(sa.delete(_REVISION))
    note_found(connection, revisions)
    _place(connection, revisions[-1].id)


def note_applied(connection: sa.Connection, step: Step) -> None:
    """Records a revision that was applied just now."""
    _METADATA.create_all(connection)
    _note(connection, step.revision, step.took)
    _place(connection, step.revision.id)


def note_taken_back(connection: sa.Connection, revision: Revision, before: str) -> None:
    """Forgets a revision: the schema is at the one before it."""
    connection.execute(sa.delete(_REVISION).where(_REVISION.c.revision == revision.id))
    _place(connection, before)


def _place(connection: sa.Connection, revision: str) -> None:
    connection.execute(sa.delete(_POSITION))
    connection.execute(sa.insert(_POSITION).values(version_num=revision))


def _note(connection: sa.Connection, revision: Revision, took: timedelta | None) -> None:
    row = {
        "revision": revision.id,
        "checksum": revision.checksum,
        "applied_at": datetime.now(UTC),
        "release": version("lockgroove"),
        "duration_ms": None if took is None else duration_ms(took),
    }
    connection.execute(sa.insert(_REVISION).values(row))


def _record(row: sa.Row[Any]) -> Record:
    took = None if row.duration_ms is None else timedelta(milliseconds=row.duration_ms)
    return Record(
        revision=row.revision, checksum=row.checksum, applied_at=row.applied_at, release=row.release, took=took
    )
