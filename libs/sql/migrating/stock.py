"""Where a schema really stands: by its records, which are compared with this release and with the tables themselves.

A database without records gets them only after a look at its tables: one that has a revision is compared with what
that revision makes, one that has none with what each of them makes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from libs.sql.migrating.errors import SchemaDrift, SchemaUnknown
from libs.sql.migrating.records import Record, note_baseline, note_found, position, records
from libs.sql.migrating.revisions import Revision, up_to
from libs.sql.migrating.scratch import shapes
from libs.sql.migrating.shape import Shape, differences, missing, shape

_TOLD: Final = 5  # differences: the first ones show what happened


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What was seen of a schema: its revision (empty: none), what is on record, and what is not as it should be.

    `drift` is the reason not to go on, empty when there is none; `additions` are what somebody else put there.
    """

    revision: str
    recorded: Mapping[str, Record] = field(default_factory=dict)
    drift: str = ""
    additions: Sequence[str] = ()


def look(connection: Connection, revisions: Sequence[Revision]) -> Stock:
    """Sees the same as `take_stock`, all of it, and records nothing."""
    if not (current := position(connection)):
        return _look_at_tables(connection, revisions)
    known, drifted, additions = records(connection), drift(connection, revisions), list[str]()
    if current <= revisions[-1].id:
        real, expected = shape(connection), _made_by(connection, up_to(revisions, current))
        additions = [name for name in real if name not in expected]
        drifted = drifted or _unlike(current, missing(real, expected))
    return Stock(revision=current, recorded=known, drift=drifted, additions=additions)


def take_stock(connection: Connection, revisions: Sequence[Revision]) -> str:
    """The revision of the schema, empty for a new one; what it has had is on record afterwards.

    Raises SchemaDrift or SchemaUnknown.
    """
    current = position(connection)
    if not current:
        return _baseline(connection, revisions)
    known = records(connection)
    if drifted := drift(connection, revisions):
        raise SchemaDrift(drifted)
    had = up_to(revisions, current)
    if current > had[-1].id:  # a newer release was here, which keeps the records
        return current
    if unrecorded := [revision for revision in had if revision.id not in known]:
        _require_shape(connection, had)
        note_found(connection, unrecorded)
    return current


def drift(connection: Connection, revisions: Sequence[Revision]) -> str:
    """Which applied revision is another one in this release; empty when none is."""
    known = records(connection)
    for revision in revisions:
        if revision.id in known and known[revision.id].checksum != revision.checksum:
            return (
                f"revision {revision.id} was applied by release {known[revision.id].release} and is another one in this"
                f" release ({revision.path.name}): install an unchanged release, or restore a backup"
            )
    return ""


def fitting(real: Shape, made: dict[str, Shape]) -> str:
    """The newest revision that makes just these tables; raises SchemaUnknown."""
    apart = {revision: differences(real, expected) for revision, expected in made.items()}
    for revision in reversed(apart):
        if not apart[revision]:
            return revision
    nearest = min(reversed(apart), key=lambda revision: len(apart[revision]))
    raise SchemaUnknown(
        f"the tables are those of no revision; nearest is {nearest}, but {_shown(apart[nearest])}."
        " Restore a backup, or move these tables away"
    )


def _baseline(connection: Connection, revisions: Sequence[Revision]) -> str:
    """Puts tables that nobody recorded on record."""
    if not (real := shape(connection)):
        return ""
    found = fitting(real, shapes(connection, revisions))
    note_baseline(connection, up_to(revisions, found))
    return found


def _look_at_tables(connection: Connection, revisions: Sequence[Revision]) -> Stock:
    if not (real := shape(connection)):
        return Stock(revision="")
    try:
        return Stock(revision=fitting(real, shapes(connection, revisions)))
    except SchemaUnknown as error:
        return Stock(revision="", drift=error.message)


def _require_shape(connection: Connection, had: Sequence[Revision]) -> None:
    """What somebody added by hand may stay."""
    if drifted := _unlike(had[-1].id, missing(shape(connection), _made_by(connection, had))):
        raise SchemaDrift(drifted)


def _made_by(connection: Connection, revisions: Sequence[Revision]) -> Shape:
    return shapes(connection, revisions)[revisions[-1].id]


def _unlike(revision: str, apart: Sequence[str]) -> str:
    if not apart:
        return ""
    return f"the tables are not those of revision {revision}: {_shown(apart)}. Restore a backup, or mend them"


def _shown(apart: Sequence[str]) -> str:
    rest = len(apart) - _TOLD
    return "; ".join(apart[:_TOLD]) + (f"; and {rest} more" if rest > 0 else "")
