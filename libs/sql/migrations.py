"""Brings a service's schema up to date: at once when it is, under a lock when it is not.

A service's migrations are a package with `HEAD` and a folder `versions` of Alembic revisions (`0001_*.py`); everything
else is shared. Alembic is imported only when there is something to do. One migration at a time in a process: Alembic
keeps the running one in globals.
"""

from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import AppError
from libs.sql.engine import Database
from libs.sql.errors import MigrationFailed

_ENVIRONMENT = Path(__file__).parent / "environment"
_TABLE = "alembic_version"


async def is_current(database: Database, head: str) -> bool:
    """Whether the schema is at `head`, or beyond it."""
    async with database.reading() as connection:
        return await revision(connection) >= head


async def revision(connection: AsyncConnection) -> str:
    """The revision of the schema: empty when there is none. Revisions are numbers of equal length."""
    if not await connection.run_sync(lambda sync: inspect(sync).has_table(_TABLE)):
        return ""
    return await connection.scalar(text(f"SELECT version_num FROM {_TABLE}")) or ""  # noqa: S608 - a constant


async def migrate(database: Database, *, package: str, head: str) -> None:
    """Applies the revisions of `package` up to `head`; raises MigrationFailed or DatabaseUnavailable.

    A revision beyond `head` is left alone: each migration works with the code before and after it, so an old replica
    may still run beside new ones.
    """
    if await is_current(database, head):
        return
    try:
        async with database.writing() as connection:
            await _lock(connection)
            if await revision(connection) < head:
                await connection.run_sync(_upgrade, package, head)
    except AppError:
        raise
    except Exception as error:
        why = str(error).partition("\n")[0]
        raise MigrationFailed(f"the schema of {database.place} cannot be brought to revision {head}: {why}") from error


async def _lock(connection: AsyncConnection) -> None:
    """Lets one process migrate at a time; on SQLite the write transaction is that lock already."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 1))"))


def _upgrade(connection: Connection, package: str, head: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", _escaped(_ENVIRONMENT))
    config.set_main_option("version_locations", _escaped(_folder(package) / "versions"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    command.upgrade(config, head)


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise MigrationFailed(f"there is no package of migrations named {package}")
    return Path(next(iter(spec.submodule_search_locations)))


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")
