"""A service's database, opened and brought up to date by a process of its own.

Alembic costs 10 MB that the service would carry from its first start on, and keeps the running migration in globals
that services in one process would share. `python -m libs.schema.upgrade SERVICE HOME PACKAGE HEAD` gets the URL, which
may hold a password, on its standard input.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from libs.backup.pending import require_no_pending_restore
from libs.errors import AppError
from libs.sql.engine import Database, open_database
from libs.sql.errors import MigrationFailed
from libs.sql.migrations import PATIENCE, is_current, migrate
from libs.sql.url import database_url


@asynccontextmanager
async def open_service_database(
    service: str, *, home: Path, configured: str | None, package: str, head: str
) -> AsyncIterator[Database]:
    """The database of a service at revision `head` of the migrations in `package`; see `database_url`.

    Raises DatabaseUnavailable, MigrationFailed, RestorePending or, for a wrong URL, InvalidArgument.
    """
    require_no_pending_restore(home)
    url = database_url(home=home, service=service, configured=configured)
    async with open_database(url, schema=schema_of(service)) as database:
        if not await is_current(database, head):
            await _upgrade_apart(url, service, str(home), package, head)
        yield database


def schema_of(service: str) -> str:
    """Where a service's tables are on PostgreSQL."""
    return f"lockgroove_{service}"


async def _upgrade_apart(url: str, *arguments: str) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await child.communicate(url.encode())
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            child.terminate()  # what it has not committed is as it was
        await child.wait()
        raise
    if child.returncode:
        raise MigrationFailed(said.decode(errors="replace").strip() or "the migration was ended from outside")


async def _upgrade(url: str, service: str, home: str, package: str, head: str) -> None:
    from libs.schema.keeping import keeper

    schema = schema_of(service)
    async with open_database(url, schema=schema, wait=PATIENCE.total_seconds()) as database:
        keep = keeper(database, schema=schema, service=service, home=Path(home), environment=os.environ)
        await migrate(database, package=package, head=head, keep=keep)


def _main() -> None:
    try:
        asyncio.run(_upgrade(sys.stdin.read(), *sys.argv[1:]))
    except AppError as error:
        sys.exit(error.message)


if __name__ == "__main__":
    _main()
