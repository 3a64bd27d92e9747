"""How long things take in the pretended slskd, and when they are written down."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True, kw_only=True)
class Timing:
    """Seconds, for tests to turn."""

    storing: float = 0.02  # between a search's end and its answers
    enqueue: float = 0.0  # a request to the peer
    remote_queue: float = 0.0
    transfer: float = 0.02  # a file
    moving: float = 0.02  # between "Succeeded" and the file
    cancelling: float = 0.02
    retry: float = 0.05  # between slskd's own tries
    login: float = 0.05  # after a restart


def stamp(at: datetime | None) -> str | None:
    """A time as slskd writes it."""
    return None if at is None else at.isoformat(timespec="microseconds").replace("+00:00", "Z")
