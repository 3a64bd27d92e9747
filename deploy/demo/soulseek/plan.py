"""What a peer of the loopback network is like: who it is, what it shares, and how it misbehaves."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from deploy.demo.albums import Album, Track

FAST = 8 * 1024 * 1024  # bytes a second: what the attractive peers say of themselves


class Behaviour(StrEnum):
    """How a peer treats those who ask it for a file. Only honest and forgetful ones send it in the end."""

    HONEST = "honest"  # sends what it offers
    STALLING = "stalling"  # sends the start of each file, and then nothing more
    VANISHING = "vanishing"  # goes offline in the middle of a file
    QUEUEING = "queueing"  # keeps everybody waiting at the third place of its queue
    ENDLESS = "endless"  # sends the file, and then whatever comes to mind, as long as anybody listens
    SHORT = "short"  # offers the whole file, then announces half of it, and sends that
    FORGETFUL = "forgetful"  # loses the first request for a file, says "Queued" to the second, and then sends
    OTHER_AUDIO = "other-audio"  # right names and tags, another song
    OTHER_TAGS = "other-tags"  # right names and length, another artist's song, whose tags say so
    TRUNCATED = "truncated"  # right names and tags, the last third is missing
    RENAMED_TEXT = "renamed-text"  # right names, no audio at all


_SCRIPTED = (Behaviour.STALLING, Behaviour.QUEUEING, Behaviour.ENDLESS, Behaviour.SHORT, Behaviour.FORGETFUL)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerPlan:
    """One peer. `speed` is what it advertises (bytes/s), `upload_kbps` (KiB/s) what it really gives, 0 without limit.

    A stalling peer stops, and a vanishing one goes, after `gives` bytes. `remote_path` renames what is shared, to any
    text that the protocol can carry. `size` pads every file to the same number of bytes.
    """

    username: str
    albums: tuple[Album, ...]
    behaviour: Behaviour = Behaviour.HONEST
    speed: int = FAST
    upload_kbps: int = 0
    gives: int = 128 * 1024
    size: int | None = None
    remote_path: Callable[[Album, Track], str] | None = None

    @property
    def is_scripted(self) -> bool:
        """Whether a real client cannot behave so, and our own protocol code has to."""
        return self.behaviour in _SCRIPTED or self.remote_path is not None


@dataclass(slots=True, kw_only=True)
class Upload:
    """One file that a peer began to send, and how far that got."""

    downloader: str
    remote_path: str
    sent: int = 0
    complete: bool = False
