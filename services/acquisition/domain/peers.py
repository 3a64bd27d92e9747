"""What we ask of a network of peers, in our words, and how it may fail.

PeerNetworkFault
├── NetworkAway      no session now: nobody is to blame, try later
│   └── NetworkBusy  there is a session, which bears no further search for `wait`
├── NetworkUnusable  no session until a person changes something; `reason` says what
└── PeerFailed       this peer did not deliver this file; `reason` says how
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from services.acquisition.domain.candidates import Candidate, RemoteFile


class PeerNetworkFault(Exception):
    """Something went wrong on the network of peers; `reason` is for programs, the text for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class NetworkAway(PeerNetworkFault):
    """There is no session now; it may come back by itself."""


class NetworkBusy(NetworkAway):
    """As many searches as the network bears were sent: another may go after `wait`."""

    def __init__(self, reason: str, message: str, *, wait: timedelta) -> None:
        super().__init__(reason, message)
        self.wait = wait


class NetworkUnusable(PeerNetworkFault):
    """There is no session, and a person has to do something about it."""


class PeerFailed(PeerNetworkFault):
    """The peer did not deliver; another one may."""


class PeerNetwork(Protocol):
    """The network. Every method may raise NetworkAway and NetworkUnusable."""

    async def search(self, query: str) -> Sequence[Candidate]:
        """What peers offer."""
        ...

    async def download(
        self,
        peer: str,
        file: RemoteFile,
        target: Path,
        *,
        on_bytes: Callable[[int], None],
        on_place: Callable[[int], None] | None = None,
    ) -> int:
        """Fetch a file to `target`, aborted when cancelled; returns the size that the peer announced.

        `on_bytes` hears how many bytes have arrived, `on_place` the place in the peer's queue, from 1, where the
        network tells it. Raises PeerFailed, and OSError where `target` cannot be written.
        """
        ...
