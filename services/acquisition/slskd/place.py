"""What one wanted file is called in slskd: its batch, and its folder below slskd's downloads.

Both follow from where the file is to go, so that whoever takes over after a crash finds what runs. The first half of a
batch's GUID tells whose acquisition it is for, so that what was left behind is found as well. Every file has a folder
of its own: slskd overwrites or renames where two have the same name.
"""

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path

from services.acquisition.domain.candidates import RemoteFile

FOLDER = "lockgroove"
_HALF = len("01234567-89ab-5def")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A file of one attempt of one acquisition; `name` is its target's, without the extension."""

    acquisition: str
    attempt: str
    name: str

    @classmethod
    def of(cls, target: Path) -> "Place":
        """The place of a file that is to go to `.../<acquisition>/<attempt>/<name>.<extension>`."""
        return cls(acquisition=target.parent.parent.name, attempt=target.parent.name, name=target.stem)

    @property
    def folder(self) -> str:
        """The folder of its attempt, relative to slskd's downloads."""
        return f"{FOLDER}/{self.acquisition}/{self.attempt}"

    @property
    def destination(self) -> str:
        """Its own folder in there."""
        return f"{self.folder}/{self.name}"

    def batch_id(self, peer: str, file: RemoteFile, generation: int) -> str:
        """The GUID of the batch that fetches it from a peer; a `generation` for each time that one came to nothing."""
        said = "\0".join([self.destination, peer, file.path, str(file.size), str(generation)])
        return str(uuid.UUID(bytes=_digest(self.acquisition) + _digest(said), version=5))


def is_of(acquisition: str, batch_id: str | None) -> bool:
    """Whether a batch was made for the acquisition."""
    mine = str(uuid.UUID(bytes=_digest(acquisition) + bytes(8), version=5))
    return batch_id is not None and batch_id.lower()[:_HALF] == mine[:_HALF]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:8]
