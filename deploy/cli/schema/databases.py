"""The databases of an installation, as its environment names them, and whether somebody uses one."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Final

from libs.backup.copies import sqlite_file
from libs.backup.postgresql import connected
from libs.errors import FailedPrecondition
from libs.schema.keeping import keeper
from libs.schema.upgrade import schema_of
from libs.sql.engine import Database, open_database
from libs.sql.errors import DatabaseUnavailable
from libs.sql.migrating.errors import MigrationLocked
from libs.sql.migrations import Keep, is_lock_taken
from libs.sql.url import database_url, place_of

SERVICES: Final = ("config", "webhooks", "acquisition")

_SESSIONS: Final = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1
"""


class InUse(FailedPrecondition):
    """A service runs on the database."""

    reason = "DATABASE_IN_USE"


class NoDatabase(FailedPrecondition):
    """There is nothing to go back with."""

    reason = "NO_DATABASE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDatabase:
    """Where a service keeps its rows, and the migrations that make its tables."""

    service: str
    home: Path
    url: str = field(repr=False)
    package: str
    head: str
    environment: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, service: str, environment: Mapping[str, str]) -> "ServiceDatabase":
        """As the environment says. Raises InvalidArgument for a wrong DATABASE_URL."""
        home = Path(environment.get("LOCKGROOVE_HOME") or "data").absolute()
        package = f"services.{service}.migrations"
        return cls(
            service=service,
            home=home,
            url=database_url(home=home, service=service, configured=environment.get("DATABASE_URL") or None),
            package=package,
            head=str(import_module(package).HEAD),
            environment=environment,
        )

    @property
    def place(self) -> str:
        """How to name it to people."""
        return place_of(self.url)

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database."""
        return sqlite_file(self.url)

    @property
    def schema(self) -> str:
        """Where its tables are on PostgreSQL."""
        return schema_of(self.service)

    @property
    def copy_name(self) -> str:
        """The name of its copy in a backup."""
        return f"{self.service}.{'db' if self.file else 'dump'}"

    @property
    def is_there(self) -> bool:
        """Whether there is something to look at."""
        return self.file is None or self.file.exists()

    @asynccontextmanager
    async def open(self, *, wait: float) -> AsyncIterator[Database]:
        """Opens it, and makes it when it is missing. Raises MigrationLocked or DatabaseUnavailable."""
        try:
            async with open_database(self.url, schema=self.schema, wait=wait) as database:
                yield database
        except DatabaseUnavailable as error:
            if is_lock_taken(error.__cause__):
                raise MigrationLocked(f"another process writes to {self.place} for long: try again later") from error
            raise

    def keeper(self, database: Database) -> Keep | None:
        """What copies it before it is migrated."""
        return keeper(
            database,
            schema=self.schema,
            service=self.service,
            home=self.home,
            environment=self.environment,
        )

    async def require_idle(self) -> None:
        """Raises InUse while another process has it open, NoDatabase if there is none."""
        if not self.is_there:
            raise NoDatabase(f"{self.place} is not there: is LOCKGROOVE_HOME right?")
        if await self.is_used():
            raise InUse(f"{self.place} is in use: stop the suite, on every machine, before going back")

    async def is_used(self) -> bool:
        """Whether another process has it open; a file that is no database is not in use."""
        if self.file:
            return self.file.exists() and await asyncio.to_thread(_is_locked, self.file)
        async with connected(self.url, self.schema) as connection:
            return bool(await connection.fetchval(_SESSIONS, f"lockgroove.{self.schema}"))


def _is_locked(file: Path) -> bool:
    """Whether another connection has an SQLite file open: this mode of locking bears none beside it."""
    try:
        with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return str(getattr(error, "sqlite_errorname", "")).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    return False
