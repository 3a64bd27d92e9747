"""What may be wrong with a database, and how the drivers' faults become these facts."""

import sqlite3
from datetime import timedelta

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from libs.errors import AppError, ResourceExhausted, Unavailable

RETRY_AFTER = timedelta(seconds=1)

_BUSY_CODES = frozenset({"SQLITE_BUSY", "SQLITE_LOCKED"})
_BROKEN_CODES = {
    "SQLITE_CANTOPEN": "it cannot be opened: does its folder exist, and may this user write there?",
    "SQLITE_READONLY": "it cannot be written: give this user write access to the file and its folder",
    "SQLITE_PERM": "it cannot be accessed: give this user access to the file and its folder",
    "SQLITE_NOTADB": "it is not an SQLite database: move it away or restore a backup",
    "SQLITE_CORRUPT": "it is damaged: restore a backup",
    "SQLITE_IOERR": "reading or writing it failed: check the disk",
}
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_DISK_FULL = "53100"
_AWAY_CLASSES = ("08", "53", "57P", "58")
_AWAY_STATES = {
    "40001": "two transactions met: try again",
    "40P01": "two transactions met: try again",
    "25006": "it is read-only: is this address a standby?",
    "28000": "it refuses this user",
    "28P01": "it refuses this user's password",
    "3D000": "there is no such database",
    "42501": "this user lacks a privilege",
}


class DatabaseUnavailable(Unavailable):
    """The database cannot be used now: nothing was stored, or it is unknown whether it was."""

    reason = "DATABASE_UNAVAILABLE"


class StorageFull(ResourceExhausted):
    """The disk of the database is full: nothing was stored."""

    reason = "STORAGE_FULL"


class MigrationFailed(Unavailable):
    """The schema cannot be brought up to date: the service must not start."""

    reason = "MIGRATION_FAILED"


def translated(error: BaseException, place: str) -> AppError | None:
    """The fact behind a driver's fault, or None when it is not about the database's health (or already ours)."""
    if isinstance(error, IntegrityError):
        return None
    if isinstance(error, PoolTimeout):
        return _unavailable(place, "all connections are busy")
    if isinstance(error, OSError):
        return _unavailable(place, "it cannot be reached")
    if isinstance(error, DBAPIError):
        return _from_driver(error, place)
    return None


def _from_driver(error: DBAPIError, place: str) -> AppError | None:
    if isinstance(error.orig, sqlite3.Error):
        return _from_sqlite(getattr(error.orig, "sqlite_errorname", ""), place)
    state = getattr(error.orig, "sqlstate", None) or ""
    if state == _DISK_FULL:
        return _full(place)
    if state in _AWAY_STATES:
        return _unavailable(place, _AWAY_STATES[state])
    if error.connection_invalidated or state.startswith(_AWAY_CLASSES):
        return _unavailable(place, "the connection was lost")
    return None


def _from_sqlite(code: str, place: str) -> AppError | None:
    primary = "_".join(code.split("_")[:2])  # SQLITE_IOERR_WRITE is a kind of SQLITE_IOERR
    if primary == "SQLITE_FULL":
        return _full(place)
    if primary in _BUSY_CODES:
        return _unavailable(place, "another process holds its write lock")
    if primary in _BROKEN_CODES:
        return _unavailable(place, _BROKEN_CODES[primary])
    return None


def _unavailable(place: str, why: str) -> DatabaseUnavailable:
    return DatabaseUnavailable(f"{place} is not available: {why}", retry_after=RETRY_AFTER)


def _full(place: str) -> StorageFull:
    return StorageFull(f"the disk of {place} is full: free some space", retry_after=RETRY_AFTER)
