"""How Soulseek fails, as facts, below those of `domain.peers`; what all networks share is in `domain.peer_faults`.

NetworkAway
├── Disconnected        the session ended while something ran
├── SoulseekAway        there is no session now; the keeper is at it
├── ServerUnreachable   no connection to the server
├── CannotListen        the port for peers cannot be opened
└── NetworkBusy
    └── SearchLimitReached  as many searches as the server bears were sent already
NetworkUnusable
├── SoulseekOff         no account is configured, or it is switched off
├── LoginRefused        the server does not accept the account
└── Kicked              somebody else logged in with the account
PeerFailed
├── TransferTaken       ours: the same file comes already, for another acquisition
└── SizeMismatch        the peer announced another size than it advertised
OSError
└── LocalDiskError      ours: the target cannot be written
"""

from datetime import timedelta

from services.acquisition.domain.peers import NetworkAway, NetworkBusy, NetworkUnusable, PeerFailed
from services.acquisition.soulseek.account import NO_ACCOUNT


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
    """No account is configured, or Soulseek is switched off; `problem` says which, and what to do."""

    def __init__(self, problem: str = NO_ACCOUNT) -> None:
        super().__init__("SOULSEEK_NOT_CONFIGURED", problem)


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
