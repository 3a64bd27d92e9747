"""The copy of a database from before its migration, for the day on which the migration was the mistake.

Copies are `backups/before-migration/<service>-<from>-<to>-<time>.db` (SQLite) or `.dump` (PostgreSQL) in the data
folder, for its owner only; the newest three of each service stay.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import text

from libs.errors import AppError
from libs.sql.engine import Database
from libs.sql.errors import MigrationFailed
from libs.sql.migrations import Keep

VARIABLE: Final = "LOCKGROOVE_MIGRATION_BACKUP"
KEPT: Final = 3

_FOLDER: Final = Path("backups") / "before-migration"
_OURS_ALONE: Final = 0o700
_OFF: Final = frozenset({"off", "false", "no", "0"})
_HEADROOM: Final = 1.1
_SIZE: Final = text(
    "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c"
    " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.relkind = 'r'"
)


class CopyRefused(MigrationFailed):
    """Without a copy nothing is migrated."""

    reason = "MIGRATION_NOT_BACKED_UP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Copies the database of a service before it is migrated."""

    database: Database
    schema: str
    service: str
    home: Path

    async def keep(self, before: str, after: str) -> None:
        """Copies it, then removes what is too old. Raises CopyRefused, and nothing is migrated."""
        from libs.backup.copies import copy_database

        folder = self.home / _FOLDER
        target = folder / f"{self.service}-{before}-{after}-{_now()}.{self._kind}"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=_OURS_ALONE)
            _remove_halves(folder, self.service)
            await self._require_room(folder)
            await copy_database(self.database.url, self.schema, target)
            _prune(folder, self.service)
        except CopyRefused:
            raise
        except AppError as error:
            raise self._refused(error.message) from error
        except OSError as error:
            raise self._refused(f"{error.filename or folder}: {error.strerror}") from error

    async def _require_room(self, folder: Path) -> None:
        needed, free = int(await self._size() * _HEADROOM), shutil.disk_usage(folder).free
        if free < needed:
            raise self._refused(f"{folder} has {_megabytes(free)} free, and a copy may take {_megabytes(needed)}")

    async def _size(self) -> int:
        if self.database.dialect == "sqlite":
            file = Path(self.database.url.partition(":///")[2])
            return sum(path.stat().st_size for path in (file, file.with_name(f"{file.name}-wal")) if path.exists())
        async with self.database.reading() as connection:
            return int(await connection.scalar(_SIZE) or 0)

    @property
    def _kind(self) -> str:
        return "db" if self.database.dialect == "sqlite" else "dump"

    def _refused(self, why: str) -> CopyRefused:
        return CopyRefused(
            f"{self.database.place} was not migrated, for it could not be copied before: {why}."
            f" Free some space, or set {VARIABLE}=off to migrate without a copy"
        )


def keeper(database: Database, *, schema: str, service: str, home: Path, environment: Mapping[str, str]) -> Keep | None:
    """What copies the database before it is migrated; None where the environment forbids it."""
    if environment.get(VARIABLE, "").strip().lower() in _OFF:
        return None
    return Keeper(database=database, schema=schema, service=service, home=home).keep


def _remove_halves(folder: Path, service: str) -> None:
    """What a killed copy left: nobody else copies while we hold the lock."""
    for path in folder.glob(f".{service}-*.part"):
        path.unlink(missing_ok=True)


def _prune(folder: Path, service: str) -> None:
    ours = re.compile(rf"{re.escape(service)}-\d+-\d+-(\d{{8}}T\d{{12}}Z)\.(?:db|dump)")
    dated = sorted((match[1], path) for path in folder.iterdir() if (match := ours.fullmatch(path.name)))
    for _, path in dated[:-KEPT]:
        path.unlink(missing_ok=True)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.0f} MB"
