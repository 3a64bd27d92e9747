"""The folder of backups: which files are backups, how old they are, and which of them leave."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

SUFFIX = ".lgb"
VARIABLE = "LOCKGROOVE_BACKUP_PATH"

_MOMENT = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"lockgroove-(\d{8}T\d{6}Z)(-\d+)?(\.unverified)?\.lgb")
_MAGIC = b"LOCKGROOVE BACKUP "


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A backup in the folder; `verified` ones were restored once, to see whether they can be."""

    path: Path
    made_at: datetime
    verified: bool
    size: int


def backup_folder(home: Path, environment: Mapping[str, str]) -> Path:
    """Where an installation keeps its backups: LOCKGROOVE_BACKUP_PATH, or `backups` in the data folder."""
    named = environment.get(VARIABLE)
    return Path(named).absolute() if named else home / "backups"


def name_for(folder: Path, made_at: datetime, *, verified: bool) -> Path:
    """Where a backup of this moment goes; nothing is there yet."""
    stem = f"lockgroove-{made_at.astimezone(UTC).strftime(_MOMENT)}"
    end = SUFFIX if verified else f".unverified{SUFFIX}"
    numbers = ["", *(f"-{number}" for number in range(2, 1000))]
    taken = {path.name for path in folder.glob(f"{stem}*")}
    return next(folder / f"{stem}{each}{end}" for each in numbers if f"{stem}{each}{end}" not in taken)


def kept(folder: Path) -> list[Kept]:
    """The backups in a folder, the newest first; a file that is not one of ours is not among them."""
    return sorted(_found(folder), key=lambda each: (each.made_at, len(each.path.name), each.path.name), reverse=True)


def newest_verified(folder: Path) -> Kept | None:
    """The newest one that was restored once."""
    return next((each for each in kept(folder) if each.verified), None)


def outdated(backups: Sequence[Kept], *, now: datetime, days: int, most: int) -> list[Kept]:
    """Those that leave: older than so many days, or beyond so many; never the newest verified one."""
    newest_good = next((each for each in backups if each.verified), None)
    oldest = now - timedelta(days=days)
    return [
        each
        for position, each in enumerate(backups)
        if each is not newest_good and (position >= most or each.made_at < oldest)
    ]


def remove_outdated(folder: Path, *, now: datetime, days: int, most: int) -> list[Path]:
    """Removes them; returns which. One that may not be removed stays: it does not undo the backup that was made."""
    removed = []
    for each in outdated(kept(folder), now=now, days=days, most=most):
        with suppress(OSError):
            each.path.unlink(missing_ok=True)
            removed.append(each.path)
    return removed


def _found(folder: Path) -> Iterator[Kept]:
    with suppress(OSError):
        for path in folder.iterdir():
            if (match := _NAME.fullmatch(path.name)) and _is_ours(path):
                moment, _, unverified = match.groups()
                with suppress(OSError, ValueError):
                    yield Kept(
                        path=path,
                        made_at=datetime.strptime(moment, _MOMENT).replace(tzinfo=UTC),
                        verified=unverified is None,
                        size=path.stat().st_size,
                    )


def _is_ours(path: Path) -> bool:
    with suppress(OSError):
        if not path.is_symlink() and path.is_file():
            with path.open("rb") as file:
                return file.read(len(_MAGIC)) == _MAGIC
    return False
