"""Brings a service's schema up to date: at once when it is, under a lock when it is not.

A service's migrations are a package with `HEAD` and a folder `versions` of revisions (`0001_*.py`) written with
Alembic's operations; everything else is shared. Alembic is imported only when there is something to do. What happens to
a schema happens in one transaction: it is what it was, or what it was to become.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import AppError
from libs.sql.engine import BUSY_TIMEOUT_SECONDS, Database
from libs.sql.errors import MigrationFailed
from libs.sql.migrating import records, steps
from libs.sql.migrating.errors import MigrationLocked, MigrationRefused, SchemaDrift, SchemaUnknown
from libs.sql.migrating.revisions import Revision, read_revisions
from libs.sql.migrating.scratch import tried_down
from libs.sql.migrating.statements import losing
from libs.sql.migrating.steps import Step
from libs.sql.migrating.stock import take_stock

PATIENCE: Final = timedelta(minutes=10)
"""How long to wait for another process that migrates."""

_LOCK_TAKEN: Final = "55P03"
_IN_A_HURRY: Final = ("secure_delete = FAST", "cache_size = -32000")  # KiB

Keep = Callable[[str, str], Awaitable[None]]
"""Called under the lock before a schema with rows goes from one revision to another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """Where a schema was, where it is, and the steps between."""

    before: str
    after: str
    steps: Sequence[Step] = ()


async def is_current(database: Database, head: str) -> bool:
    """Whether the schema is at `head`, or beyond it."""
    async with database.reading() as connection:
        return await revision(connection) >= head


async def revision(connection: AsyncConnection) -> str:
    """The revision of the schema: empty when there is none. Revisions are numbers of equal length."""
    return await connection.run_sync(records.position)


async def migrate(database: Database, *, package: str, head: str, keep: Keep | None = None) -> None:
    """Applies the revisions of `package` up to `head`; does nothing, and looks at nothing, when they are.

    A revision beyond `head` is left alone: each migration works with the code before and after it, so an old replica
    may still run beside new ones. Raises what `upgrade` does.
    """
    if not await is_current(database, head):
        await upgrade(database, package=package, head=head, keep=keep)


async def upgrade(
    database: Database, *, package: str, head: str, keep: Keep | None = None, wait: timedelta = PATIENCE
) -> Migrated:
    """Compares the schema with its records, then applies what is missing up to `head`.

    Raises MigrationFailed, MigrationLocked after waiting for another process, SchemaDrift, SchemaUnknown, or
    DatabaseUnavailable.
    """
    revisions = read_revisions(package)
    async with _alone(database, f"be brought to revision {head}", wait) as connection:
        before = await connection.run_sync(take_stock, revisions)
        missing = [revision for revision in revisions if before < revision.id <= head]
        if missing and before and keep is not None:
            await keep(before, head)
        done = [await connection.run_sync(_apply, revision) for revision in missing]
    return Migrated(before=before, after=max(before, head), steps=done)


async def downgrade(
    database: Database,
    *,
    package: str,
    target: str,
    losses_allowed: bool = False,
    keep: Keep | None = None,
    wait: timedelta = PATIENCE,
) -> Migrated:
    """Takes back every revision beyond `target`; nobody else may use the database meanwhile.

    Raises MigrationRefused for an unknown target, and for steps that lose rows or values unless that is allowed;
    beyond that what `upgrade` raises.
    """
    revisions = read_revisions(package)
    if target not in {revision.id for revision in revisions}:
        raise MigrationRefused(f"there is no revision {target}: there are {', '.join(each.id for each in revisions)}")
    async with _alone(database, f"go back to revision {target}", wait) as connection:
        before = await connection.run_sync(take_stock, revisions)
        if before <= target:
            return Migrated(before=before, after=before)
        _require_known(before, revisions)
        if not losses_allowed:
            await connection.run_sync(_require_lossless, revisions, before, target)
        if keep is not None:
            await keep(before, target)
        done = await connection.run_sync(_take_back, revisions, before, target)
    return Migrated(before=before, after=target, steps=done)


@asynccontextmanager
async def _alone(database: Database, wish: str, wait: timedelta) -> AsyncIterator[AsyncConnection]:
    """A write transaction of the only process that migrates; on SQLite the write transaction is that lock already."""
    try:
        async with database.writing() as connection:
            await (_lock(connection, wait) if database.dialect == "postgresql" else _hurry(connection))
            yield connection
    except (SchemaDrift, SchemaUnknown) as error:
        raise type(error)(f"{database.place}: {error.message}") from error
    except AppError as error:
        if is_lock_taken(error.__cause__):
            raise _locked(database) from error
        raise
    except Exception as error:
        if is_lock_taken(error):
            raise _locked(database) from error
        why = str(error).partition("\n")[0]
        raise MigrationFailed(f"the schema of {database.place} cannot {wish}: {why}") from error


def is_lock_taken(error: BaseException | None) -> bool:
    """Whether this is a driver's word for having waited in vain."""
    if not isinstance(error, DBAPIError):
        return False
    busy = str(getattr(error.orig, "sqlite_errorname", "")).startswith("SQLITE_BUSY")
    return busy or getattr(error.orig, "sqlstate", None) == _LOCK_TAKEN


def _locked(database: Database) -> MigrationLocked:
    return MigrationLocked(f"another process migrates {database.place}, or writes to it for long: try again later")


async def _lock(connection: AsyncConnection, wait: timedelta) -> None:
    """Lets one process migrate at a time, and the server keep its transaction while it copies."""
    await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    await _wait_at_most(connection, wait)
    await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 1))"))
    await _wait_at_most(connection, timedelta(seconds=BUSY_TIMEOUT_SECONDS))  # for tables: others queue behind us


async def _hurry(connection: AsyncConnection) -> None:
    """Tables that are dropped are not overwritten, as some builds of SQLite would, and pages stay in memory."""
    for setting in _IN_A_HURRY:
        await connection.execute(text(f"PRAGMA {setting}"))


async def _wait_at_most(connection: AsyncConnection, wait: timedelta) -> None:
    milliseconds = max(1, int(wait.total_seconds() * 1000))  # 0 would be for ever
    await connection.execute(text(f"SET LOCAL lock_timeout = {milliseconds}"))


def _apply(connection: Connection, revision: Revision) -> Step:
    step = steps.upgrade(connection, revision)
    records.note_applied(connection, step)
    return step


def _take_back(connection: Connection, revisions: Sequence[Revision], before: str, target: str) -> list[Step]:
    done = []
    for index in range(len(revisions) - 1, 0, -1):
        if target < revisions[index].id <= before:
            done.append(steps.downgrade(connection, revisions[index]))
            records.note_taken_back(connection, revisions[index], revisions[index - 1].id)
    return done


def _require_known(current: str, revisions: Sequence[Revision]) -> None:
    if current > revisions[-1].id:
        raise MigrationRefused(
            f"the schema is at revision {current}, which this release does not know: go back with the one that made it"
        )


def _require_lossless(connection: Connection, revisions: Sequence[Revision], before: str, target: str) -> None:
    had = [revision for revision in revisions if revision.id <= before]
    lost = [statement for step in tried_down(connection, had, target) for statement in losing(step.statements)]
    if lost:
        raise MigrationRefused(f"going back loses what these held: {'; '.join(lost)}. Allow it, or restore a backup")
