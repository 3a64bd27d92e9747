"""Runs single revisions with Alembic's operations, one at a time in a process: Alembic keeps it in globals."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

from sqlalchemy import Connection

from libs.sql.errors import MigrationFailed
from libs.sql.migrating.revisions import Revision
from libs.sql.migrating.statements import heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A revision that was applied, or taken back; `statements` are what it told the database."""

    revision: Revision
    statements: tuple[str, ...]
    took: timedelta


def upgrade(connection: Connection, revision: Revision) -> Step:
    """Applies a revision in the connection's transaction."""
    return _run(connection, revision, "upgrade")


def downgrade(connection: Connection, revision: Revision) -> Step:
    """Takes a revision back in the connection's transaction; raises MigrationFailed if it has no way down."""
    if not revision.reversible:
        raise MigrationFailed(f"revision {revision.id} has no way down: restore a backup from before it")
    return _run(connection, revision, "downgrade")


def _run(connection: Connection, revision: Revision, direction: str) -> Step:
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    run = _function(revision, direction)
    start = time.monotonic()
    with heard(connection) as statements, Operations.context(MigrationContext.configure(connection)):
        run()
    took = timedelta(seconds=time.monotonic() - start)
    return Step(revision=revision, statements=tuple(statements), took=took)


def _function(revision: Revision, name: str) -> Callable[[], Any]:
    spec = spec_from_file_location(f"revision_{revision.path.stem}", revision.path)
    if spec is None or spec.loader is None:
        raise MigrationFailed(f"{revision.path.name} cannot be read: this installation is damaged")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[[], Any] = getattr(module, name)
    return function
