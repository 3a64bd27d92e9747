"""Revisions tried out beside the real schema: in memory for SQLite, in a schema that is rolled back for PostgreSQL."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, StaticPool, create_engine, text

from libs import ids
from libs.sql.migrating.revisions import Revision
from libs.sql.migrating.shape import Shape, shape
from libs.sql.migrating.steps import Step, downgrade, upgrade

_NAME: Final = "lockgroove_scratch"


@contextmanager
def scratch(connection: Connection) -> Iterator[Connection]:
    """A connection of the same dialect to nothing; what is made there is gone afterwards."""
    if connection.dialect.name == "sqlite":
        engine = create_engine("sqlite://", poolclass=StaticPool)
        with engine.connect() as beside:
            yield beside
        engine.dispose()
        return
    with connection.begin_nested() as nested:
        name = ids.new(_NAME)
        connection.execute(text(f'CREATE SCHEMA "{name}"'))
        connection.execute(text(f'SET LOCAL search_path TO "{name}"'))
        yield connection
        nested.rollback()


def shapes(connection: Connection, revisions: Sequence[Revision]) -> dict[str, Shape]:
    """The shape that each revision makes, by its id."""
    made = {}
    with scratch(connection) as beside:
        for revision in revisions:
            upgrade(beside, revision)
            made[revision.id] = shape(beside)
    return made


def tried_up(connection: Connection, revisions: Sequence[Revision], current: str) -> list[Step]:
    """What the revisions beyond `current` would do to a database without rows."""
    with scratch(connection) as beside:
        steps = [upgrade(beside, revision) for revision in revisions]
    return [step for step in steps if step.revision.id > current]


def tried_down(connection: Connection, revisions: Sequence[Revision], target: str) -> list[Step]:
    """What taking back all revisions beyond `target` would do to a database without rows."""
    with scratch(connection) as beside:
        for revision in revisions:
            upgrade(beside, revision)
        back = [revision for revision in reversed(revisions) if revision.id > target]
        return [downgrade(beside, revision) for revision in back]
