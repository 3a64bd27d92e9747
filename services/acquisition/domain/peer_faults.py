"""How a peer fails, as facts: the same words of every network, for they decide what is held against it.

PeerFailed
├── PeerOffline         not online, or cannot be reached
├── QueueTimeout        the peer never got round to it
├── TransferStalled     no new byte for too long
├── TransferTooSlow     bytes, but so few that another peer is worth trying
├── TransferBroken      the peer broke off
└── TransferRejected    the peer says no
"""

from services.acquisition.domain.peers import PeerFailed


class PeerOffline(PeerFailed):
    """The peer is not online, or cannot be reached."""

    def __init__(self, peer: str) -> None:
        super().__init__("PEER_OFFLINE", f"{peer} is offline or cannot be reached.")


class QueueTimeout(PeerFailed):
    """The peer never got round to sending the file."""

    def __init__(self, peer: str, file: str, seconds: float) -> None:
        super().__init__("QUEUE_TIMEOUT", f"{peer} did not begin to send {file} within {seconds:g} s.")


class TransferStalled(PeerFailed):
    """No new byte for too long, or too many beginnings."""

    def __init__(self, peer: str, file: str, why: str) -> None:
        super().__init__("TRANSFER_STALLED", f"{peer} stopped sending {file}: {why}.")


class TransferTooSlow(PeerFailed):
    """It arrives, but so slowly that another peer is worth trying."""

    def __init__(self, peer: str, file: str, kib_per_second: float) -> None:
        super().__init__("TRANSFER_TOO_SLOW", f"{peer} sends {file} slower than {kib_per_second:g} KiB/s.")


class TransferBroken(PeerFailed):
    """The peer broke off in the middle of the file."""

    def __init__(self, peer: str, file: str, received: int, size: int) -> None:
        super().__init__("TRANSFER_BROKEN", f"{peer} broke off {file} after {received} of {size} bytes.")


class TransferRejected(PeerFailed):
    """The peer says that it will not send the file."""

    def __init__(self, peer: str, file: str, why: str) -> None:
        super().__init__("TRANSFER_REJECTED", f"{peer} does not send {file}: {why}")
