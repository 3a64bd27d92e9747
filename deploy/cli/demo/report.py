"""What happened, and whether it is what was promised: one job per album, every file whole and where it belongs."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mutagen.flac import FLAC
from rich.table import Table

from deploy.cli.demo.api import Acquisition

_read_flac: Callable[[Path], Any] = FLAC  # mutagen has no annotations


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One album that the demo asked for: by which source, how often, and the names of the jobs that came back."""

    label: str
    source: str
    times: int
    names: frozenset[str]


def findings(asked: Sequence[Asked], acquisitions: Sequence[Acquisition], music: Path) -> list[str]:
    """Every way in which the promise was broken; empty when it was kept."""
    by_name = {acquisition["name"]: acquisition for acquisition in acquisitions}
    found = [f"{wish.label}: {len(wish.names)} jobs for one album" for wish in asked if len(wish.names) != 1]
    if len(by_name) != len(asked):
        found.append(f"{len(by_name)} jobs for {len(asked)} albums")
    for wish in asked:
        for name in wish.names:
            found.extend(f"{wish.label}: {text}" for text in _broken(by_name[name], music))
    return found


def table(asked: Sequence[Asked], acquisitions: Sequence[Acquisition]) -> Table:
    """One row per album, and one per try below it."""
    by_name = {acquisition["name"]: acquisition for acquisition in acquisitions}
    rows = Table(
        "album", "asked", "jobs", "try", "source", "peer", "outcome", "bytes", "seconds", title="What happened"
    )
    for wish in asked:
        rows.add_section()
        for index, attempt in enumerate(by_name[min(wish.names)]["attempts"]):
            head = (wish.label, f"{wish.times}×", str(len(wish.names))) if index == 0 else ("", "", "")
            outcome = "[green]delivered[/]" if attempt["state"] == "SUCCEEDED" else f"[red]{attempt['reason']}[/]"
            rows.add_row(
                *head,
                str(attempt["number"]),
                attempt["source"],
                attempt["peer"],
                outcome,
                f"{int(attempt['bytes']):,}",
                f"{_seconds(attempt):.1f}",
            )
    return rows


def _broken(acquisition: Acquisition, music: Path) -> list[str]:
    if acquisition["state"] != "COMPLETED":
        return [f"ended as {acquisition['state']}: {acquisition.get('failure', {}).get('message', '')}"]
    files = [Path(file["path"]) for file in acquisition["files"]]
    if not files:
        return ["completed without a file"]
    broken = [f"{path} is outside of {music}" for path in files if not path.is_relative_to(music)]
    for path, file in zip(files, acquisition["files"], strict=True):
        broken.extend(_damaged(path, int(file["sizeBytes"]), file["sha256"], acquisition["album"]["title"]))
    return broken


def _damaged(path: Path, size: int, sha256: str, album: str) -> list[str]:
    if not path.is_file():
        return [f"{path} is missing"]
    content = path.read_bytes()
    if len(content) != size or (sha256 and hashlib.sha256(content).hexdigest() != sha256):
        return [f"{path} is not what was verified"]
    if _read_flac(path)["ALBUM"] != [album]:
        return [f"{path} belongs to another album"]
    return []


def _seconds(attempt: Acquisition) -> float:
    begun, ended = (datetime.fromisoformat(attempt[field]) for field in ("startTime", "endTime"))
    return (ended - begun).total_seconds()
