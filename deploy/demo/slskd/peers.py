"""The people on the pretended slskd's network: what they share, and how they treat those who ask for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from deploy.demo.albums import Album, album_files


class Conduct(StrEnum):
    """How a peer behaves. Only the honest and the flickering send a whole file."""

    HONEST = "honest"
    REJECTING = "rejecting"  # refuses every file
    QUEUEING = "queueing"  # accepts the request, and never gets round to it
    STALLING = "stalling"  # sends half of a file, and then nothing more
    FLICKERING = "flickering"  # breaks off once, and sends the rest when slskd asks again
    BREAKING = "breaking"  # breaks off every time
    OTHER_SIZE = "other-size"  # shares another version by now
    SPOILED = "spoiled"  # sends as many bytes as it offers, and no music


@dataclass(slots=True, kw_only=True)
class SlskdPeer:
    """One peer; `files` maps remote paths to contents. `upload_speed` is what it says of itself, in bytes/s."""

    username: str
    files: Mapping[str, bytes]
    conduct: Conduct = Conduct.HONEST
    online: bool = True
    free_slot: bool = True
    queue_length: int = 0
    upload_speed: int = 1_000_000
    locked: frozenset[str] = field(default_factory=frozenset)

    def found(self, terms: frozenset[str]) -> list[str]:
        """The remote paths in which every term occurs."""
        return [path for path in self.files if all(term in path.lower() for term in terms)]

    def content(self, path: str) -> bytes:
        """What it really sends."""
        content = self.files[path]
        return bytes(len(content)) if self.conduct is Conduct.SPOILED else content


def sharing(username: str, *albums: Album, conduct: Conduct = Conduct.HONEST) -> SlskdPeer:
    """A peer that shares these albums, under the names that people use."""
    files = {
        f"@@{username[:5]}\\Music\\{album.folder_name}\\{track.file_name}": content
        for album in albums
        for track, content in zip(album.tracks, album_files(album), strict=True)
    }
    return SlskdPeer(username=username, files=files, conduct=conduct)
