"""How Soulseek fails, as facts; the trees above them are those of `domain.peers`.

NetworkAway
├── Disconnected        the session ended while something ran
├── SoulseekAway        there is no session now; the keeper is at it
├── ServerUnreachable   no connection to the server
├── CannotListen        the port for peers cannot be opened
└── NetworkBusy
    └── SearchLimitReached  as many searches as the server bears were sent already
NetworkUnusable
├── SoulseekOff         no account is configured
├── LoginRefused        the server does not accept the account
└── Kicked              somebody else logged in with the account
PeerFailed
├── PeerOffline         not online, or cannot be reached
├── QueueTimeout        the peer never got round to it
├── TransferStalled     no new byte for too long
├── TransferTooSlow     bytes, but so few that another peer is worth trying
├── TransferBroken      the peer broke off
├── TransferRejected    the peer says no
├── TransferTaken       ours: the same file comes already, for another acquisition
└── SizeMismatch        the peer announced another size than it advertised
OSError
└── LocalDiskError      ours: the target cannot be written
"""

from datetime import timedelta

from services.acquisition.domain.peers import NetworkAway, NetworkBusy, NetworkUnusable, PeerFailed


class Disconnected(NetworkAway):
    """The session ended while something ran."""

    def __init__(self) -> None:
        super().__init__("SOULSEEK_DISCONNECTED", "The connection to the Soulseek server ended.")


class SoulseekAway(NetworkAway):
    """There is no session now; it comes back by itself."""

    def __init__(self, why: str) -> None:
        super().__init__("SOULSEEK_AWAY", f"Soulseek is not connected: {why}.")


class SearchLimitReached(NetworkBusy):
    """Another search now would get the account banned."""

    def __init__(self, wait: timedelta) -> None:
        message = f"Searches are limited by the server; the next one may go in {wait.total_seconds():.0f} s."
        super().__init__("SEARCH_LIMIT", message, wait=wait)


class ServerUnreachable(NetworkAway):
    """No connection to the server."""

    def __init__(self, server: str) -> None:
        super().__init__("SOULSEEK_UNREACHABLE", f"The Soulseek server {server} cannot be reached.")


class SoulseekOff(NetworkUnusable):
    """No account is configured."""

    def __init__(self) -> None:
        super().__init__(
            "SOULSEEK_NOT_CONFIGURED",
            "Soulseek has no account. Set soulseek.username and soulseek.password, then retry.",
        )


class LoginRefused(NetworkUnusable):
    """The server does not accept the account."""

    def __init__(self, username: str, why: str) -> None:
        super().__init__(
            "SOULSEEK_LOGIN_REFUSED",
            f'The Soulseek server refused the account "{username}" ({why}). '
            "Correct soulseek.username and soulseek.password, then retry.",
        )


class Kicked(NetworkUnusable):
    """Somebody else logged in with the account: logging in again would kick them, and they us, for ever."""

    def __init__(self, username: str) -> None:
        super().__init__(
            "SOULSEEK_KICKED",
            f'The Soulseek account "{username}" was logged in elsewhere. '
            "Use an account of its own for this service and set it again, then retry.",
        )


class CannotListen(NetworkAway):
    """The port for peers cannot be opened."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            "SOULSEEK_CANNOT_LISTEN",
            f"Peers cannot reach us: {host}:{port} cannot be opened. "
            "Set soulseek.listenHost to an address of this machine and soulseek.listenPort to a free port.",
        )


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


class TransferTaken(PeerFailed):
    """The same file of the same peer comes already, for another acquisition: no fault of the peer."""

    def __init__(self, peer: str, file: str) -> None:
        super().__init__("TRANSFER_TAKEN", f"{file} is coming from {peer} already, for another acquisition.")


class SizeMismatch(PeerFailed):
    """The peer announced another size than it advertised."""

    def __init__(self, peer: str, file: str, announced: int, advertised: int) -> None:
        super().__init__(
            "SIZE_MISMATCH", f"{peer} announced {file} with {announced} bytes, its search answer said {advertised}."
        )


class LocalDiskError(OSError):
    """Our own disk or folder is at fault; no peer is to blame. Has `errno`, `strerror` and `filename`."""
