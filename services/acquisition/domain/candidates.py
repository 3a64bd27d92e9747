"""What a peer offers for an album: one folder of one peer, with the files that its search answer listed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    r"""A file as a peer advertises it.

    `path` is the peer's own spelling (`@@abc\Artist\Album\01 Song.flac`), kept byte for byte.
    Sizes are bytes, `bitrate` kbit/s, `sample_rate` Hz. Any attribute may be missing, and all of it may be a lie.
    """

    path: str
    size: int
    duration: timedelta | None = None
    bitrate: int | None = None
    sample_rate: int | None = None
    bit_depth: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The file as plain JSON values."""
        return {
            "path": self.path,
            "size": self.size,
            "seconds": None if self.duration is None else self.duration.total_seconds(),
            "bitrate": self.bitrate,
            "sample_rate": self.sample_rate,
            "bit_depth": self.bit_depth,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "RemoteFile":
        """The file that `to_json` wrote."""
        seconds = data.get("seconds")
        return cls(
            path=data["path"],
            size=data["size"],
            duration=None if seconds is None else timedelta(seconds=seconds),
            bitrate=data.get("bitrate"),
            sample_rate=data.get("sample_rate"),
            bit_depth=data.get("bit_depth"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One folder of one peer. `queue_length` counts waiting uploads, `speed` is the peer's average in bytes/s."""

    peer: str
    folder: str
    files: tuple[RemoteFile, ...]
    free_slot: bool = False
    queue_length: int = 0
    speed: int = 0

    def to_json(self) -> dict[str, Any]:
        """The candidate as plain JSON values."""
        return {
            "peer": self.peer,
            "folder": self.folder,
            "files": [file.to_json() for file in self.files],
            "free_slot": self.free_slot,
            "queue_length": self.queue_length,
            "speed": self.speed,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Candidate":
        """The candidate that `to_json` wrote."""
        return cls(
            peer=data["peer"],
            folder=data["folder"],
            files=tuple(RemoteFile.from_json(file) for file in data["files"]),
            free_slot=data["free_slot"],
            queue_length=data["queue_length"],
            speed=data["speed"],
        )
