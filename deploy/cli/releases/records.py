"""Which releases ran here: a file for each in `releases/` of the data folder, in the order in which they came."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from libs.backup.files import beside, told
from libs.errors import FailedPrecondition, NotFound

FOLDER = "releases"

_NAME = re.compile(r"(\d{4,})\.json")


class NoRelease(NotFound):
    """No such release is recorded."""

    reason = "NO_RELEASE"


class UnreadableRecord(FailedPrecondition):
    """A record is not what was written."""

    reason = "UNREADABLE_RECORD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One that ran here. `backup` was made before it came, so it holds the data of the one before.

    `number` is given when it is recorded; `image` is what LOCKGROOVE_IMAGE was.
    """

    version: str
    revisions: Mapping[str, str]
    made_at: datetime
    image: str | None = None
    backup: Path | None = None
    number: int = field(default=0)


def record_release(home: Path, release: Release) -> Release:
    """Records it as the newest; returns it with its number. Raises CopyFailed or NoRoom."""
    folder = home / FOLDER
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    number = max(_numbers(folder), default=0) + 1
    document = {**asdict(release), "made_at": release.made_at.isoformat(), "number": number}
    document["backup"] = str(release.backup) if release.backup else None
    with beside(folder / f"{number:04}.json") as part:
        part.write_text(json.dumps(document, indent=1) + "\n")
    return _read(folder / f"{number:04}.json")


def releases(home: Path) -> list[Release]:
    """All that are recorded, the newest first. Raises UnreadableRecord."""
    folder = home / FOLDER
    return [_read(folder / f"{number:04}.json") for number in sorted(_numbers(folder), reverse=True)]


def release_before(home: Path, number: int | None = None) -> Release:
    """The release of a number, or the one before the newest. Raises NoRelease."""
    known = releases(home)
    if number is None:
        if len(known) < 2:
            raise NoRelease("no release is recorded before this one: name a backup with --to-backup")
        return known[1]
    if found := [each for each in known if each.number == number]:
        return found[0]
    raise NoRelease(f"no release {number} is recorded: `lockgroove releases` lists them")


def backup_of(home: Path, release: Release) -> Path | None:
    """The backup with the data of a release: it was made before the next one came."""
    later = [each for each in releases(home) if each.number > release.number]
    return later[-1].backup if later else None


def _numbers(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return [int(match[1]) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]


def _read(path: Path) -> Release:
    try:
        document = json.loads(path.read_text())
        backup = document.pop("backup")
        made_at = datetime.fromisoformat(document.pop("made_at"))
        return Release(**document, made_at=made_at, backup=Path(backup) if backup else None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableRecord(f"{path} cannot be read: move it away") from error
