"""Database files change places with those of a backup, all of them or none, whatever is killed in between.

staged   new files lie in `.restoring/`; nothing has changed: a crash here leaves rubbish only
pending  `restore.json` is on the disk: from here on a crash is finished forwards, by the next restore or start;
         a file is through when it has left `.restoring/`, and services refuse to start
done     `restore.json` is gone; the old files are in `before-restore-<time>/`
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from deploy.cli.backups.locks import RESTORE, alone
from libs.backup.errors import Damaged
from libs.backup.files import beside, sync, told
from libs.backup.pending import PENDING_RESTORE
from libs.errors import Internal

STAGING = ".restoring"
BEFORE = "before-restore-"

_ATTENDANTS = ("-wal", "-shm", "-journal", "")  # the database itself last


class SwapFailed(Internal):
    """Files could not be moved, and not be put back either."""

    reason = "SWAP_FAILED"


def stage(home: Path) -> Path:
    """An empty folder for the new files; what a killed restore staged goes."""
    staging = home / STAGING
    with told(staging):
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True, mode=0o700)
    return staging


def swap(home: Path, names: Sequence[str], *, stamp: str) -> Path:
    """Puts the staged files in place; returns the folder with the old ones. Raises AppError, with all as it was."""
    before = home / f"{BEFORE}{stamp}"
    with told(home):
        before.mkdir(mode=0o700)
        for name in names:
            sync(home / STAGING / name)
        sync(home / STAGING)
    try:
        with told(home):
            with beside(home / PENDING_RESTORE) as part:
                part.write_text(json.dumps({"before": before.name, "names": list(names)}))
            _forwards(home, before, names)
    except BaseException:
        _backwards(home, before, names)
        raise
    return before


def finish_restore(home: Path) -> Path | None:
    """The same as `finish`, for who holds no lock. Raises AnotherIsAtIt while a restore is under way."""
    if not home.exists():
        return None
    with alone(home, RESTORE):
        return finish(home)


def finish(home: Path) -> Path | None:
    """Finishes what a killed restore had begun; the folder with the old files, or None where nothing was pending."""
    pending = home / PENDING_RESTORE
    if not pending.exists():
        return None
    try:
        document = json.loads(pending.read_text())
        before, names = home / str(document["before"]), [str(name) for name in document["names"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{pending} cannot be read: put the files of {home / STAGING} in place by hand") from error
    with told(home):
        _forwards(home, before, names)
    return before


def _forwards(home: Path, before: Path, names: Sequence[str]) -> None:
    for name in names:
        if (new := home / STAGING / name).exists():
            _move(home, before, name)
            new.rename(home / name)
    sync(before)
    sync(home)
    (home / PENDING_RESTORE).unlink()
    sync(home)
    shutil.rmtree(home / STAGING, ignore_errors=True)


def _backwards(home: Path, before: Path, names: Sequence[str]) -> None:
    try:
        for name in names:
            if not (home / STAGING / name).exists() and (home / name).exists():
                (home / name).rename(home / STAGING / name)
            _move(before, home, name)
        sync(home)
        (home / PENDING_RESTORE).unlink(missing_ok=True)
        with suppress(OSError):
            before.rmdir()
    except OSError as error:
        raise SwapFailed(
            f"{error.filename}: {error.strerror}; the old files are in {before}, those of the backup in"
            f" {home / STAGING}: mend the disk, then run `lockgroove restore --finish`"
        ) from error


def _move(source: Path, target: Path, name: str) -> None:
    for attendant in _ATTENDANTS:
        if (file := source / f"{name}{attendant}").exists():
            file.rename(target / file.name)
