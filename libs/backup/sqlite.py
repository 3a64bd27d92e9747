"""A copy of an SQLite database of one moment, while others write: SQLite's own online backup."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from libs.backup.errors import CopyFailed, Damaged, NoDatabase, NoRoom
from libs.backup.files import beside

_STEP = 4096  # pages at a time
_BUSY = 30.0  # seconds to wait for a lock
_FULL = frozenset({"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_FSYNC"})


def copy_sqlite(source: Path, target: Path) -> None:
    """Copies it; nobody who writes waits. Raises NoDatabase, Damaged, NoRoom or CopyFailed."""
    if not source.exists():
        raise NoDatabase(f"there is no database file {source}: is LOCKGROOVE_HOME right?")
    with beside(target) as part, _facts(source), closing(_opened(source)) as live:
        live.execute("PRAGMA query_only = ON")
        # The moment that is copied: without it the copy begins anew whenever somebody writes.
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_master").fetchone()
        with closing(sqlite3.connect(part, isolation_level=None)) as copy:
            copy.execute("PRAGMA synchronous = OFF")  # it is synced as a whole
            live.backup(copy, pages=_STEP, sleep=0)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it


def check_sqlite(copy: Path) -> Mapping[str, int]:
    """The tables of a copy with their rows, if the whole file is sound. Raises Damaged."""
    with _facts(copy), closing(_opened(copy)) as connection:
        found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise Damaged(f"the database file {copy} is damaged: {found}")
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        ).fetchall()
        return {name: _count(connection, name) for (name,) in names}


def revision_of(copy: Path) -> str:
    """The revision of the schema; empty when there is none. Raises Damaged."""
    with _facts(copy), closing(_opened(copy)) as connection:
        tracked = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if tracked else None
        return str(row[0]) if row else ""


def _count(connection: sqlite3.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    return int(connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0])  # noqa: S608 (a name of the schema)


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_BUSY, isolation_level=None)


@contextmanager
def _facts(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorname", "")
        if code in _FULL:
            raise NoRoom(f"{path} cannot be copied: the disk is full; free some space") from error
        if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise Damaged(f"the database file {path} is damaged: restore a backup") from error
        why = f"({code}): may this user read and write it?"
        raise CopyFailed(f"the database file {path} cannot be copied {why}") from error
