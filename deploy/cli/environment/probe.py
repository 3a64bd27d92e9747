"""Looks at one folder in a process of its own: as another user may, and however long a network share keeps it waiting.

`probe.py FOLDER` prints one JSON object: `exists`, `why` it cannot be written to (null if it can), `free` bytes, and
the `kind` of its file system. What is not there yet is looked at where it would be made.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path


def main(folder: Path) -> None:
    """Looks, and leaves nothing behind."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    found = {"exists": folder.exists(), "why": _why_not(place), "free": _free(place), "kind": _kind(place)}
    print(json.dumps(found))  # noqa: T201 - the answer


def _why_not(place: Path) -> str | None:
    if not place.is_dir():
        return "it is no folder"
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".lockgroove-probe-") as file:
            file.write(b"x")
            file.flush()
    except OSError as fault:
        return fault.strerror or type(fault).__name__
    return None


def _free(place: Path) -> int | None:
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return None


def _kind(place: Path) -> str:
    """Of the mount that the folder is on: the last of the longest mount points above it."""
    best, kind = "", ""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return kind
    for line in lines:
        before, _, after = line.partition(" - ")
        point = before.split()[4].encode().decode("unicode_escape")
        if len(point) >= len(best) and os.path.commonpath([point, place.resolve()]) == point:
            best, kind = point, after.split()[0]
    return kind


if __name__ == "__main__":
    main(Path(sys.argv[1]))
