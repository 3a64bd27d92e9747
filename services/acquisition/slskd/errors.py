"""How slskd fails, as facts, below those of `domain.peers`; what all networks share is in `domain.peer_faults`.

NetworkAway
├── SlskdAway             it has no session on Soulseek now
├── SlskdUnreachable      nobody answers at its address
│   └── SlskdUnclear      it did not answer in time: whatever was asked may have been done
├── SlskdFault            it answers, and not what it should
└── SlskdBusy             it refuses one call too many, again and again
NetworkUnusable
├── SlskdOff              no address or no key is set, or it is switched off
├── SlskdDownloadsNotSet  where its downloads are for us is not set, or there is no such folder
├── SlskdRefusedKey       the key is wrong, or not for us
├── SlskdTooOld           it knows no batches
└── FileMissing           slskd has fetched the file, and we cannot get at it
PeerFailed
├── TransferCancelled     somebody stopped it in slskd, or slskd did for want of an answer
└── SizeMismatch          the peer has another size than it advertised
"""

from services.acquisition.domain.peers import NetworkAway, NetworkUnusable, PeerFailed

NO_SLSKD = "slskd has no address. Set slskd.url and slskd.apiKey, then retry."
FIRST_VERSION = (0, 26)  # with batches


class SlskdAway(NetworkAway):
    """It has no session on Soulseek now."""

    def __init__(self) -> None:
        super().__init__("SLSKD_DISCONNECTED", "slskd is not logged in to Soulseek at the moment.")


class SlskdUnreachable(NetworkAway):
    """Nobody answers at its address."""

    def __init__(self, message: str = "slskd cannot be reached at slskd.url.") -> None:
        super().__init__("SLSKD_UNREACHABLE", message)


class SlskdUnclear(SlskdUnreachable):
    """It did not answer in time: whatever was asked may have been done."""

    def __init__(self) -> None:
        super().__init__("slskd did not answer in time.")


class SlskdFault(NetworkAway):
    """It answers, and not what it should."""

    def __init__(self, what: str) -> None:
        super().__init__("SLSKD_FAULT", f"slskd is not in its right mind: {what}.")


class SlskdBusy(NetworkAway):
    """It refuses one call too many, again and again."""

    def __init__(self) -> None:
        super().__init__("SLSKD_BUSY", "slskd is busy with what others ask of it.")


class SlskdOff(NetworkUnusable):
    """No address or no key is set, or slskd is switched off; `problem` says which, and what to do."""

    def __init__(self, problem: str = NO_SLSKD) -> None:
        super().__init__("SLSKD_NOT_CONFIGURED", problem)


class SlskdDownloadsNotSet(NetworkUnusable):
    """Where its downloads are for us is not set, or there is no such folder."""

    def __init__(self, path: object = None) -> None:
        what = "is not set" if path is None else f"is {path}, which is no folder here"
        super().__init__(
            "SLSKD_DOWNLOADS_NOT_SET",
            f"slskd.downloadPath {what}. Set it to slskd's downloads folder as this service sees it, then retry.",
        )


class SlskdRefusedKey(NetworkUnusable):
    """The key is wrong, or not for us."""

    def __init__(self, status: int) -> None:
        super().__init__(
            "SLSKD_REFUSED_KEY",
            f"slskd refuses the API key ({status}). Correct slskd.apiKey, or what the key may do, then retry.",
        )


class SlskdTooOld(NetworkUnusable):
    """It knows no batches."""

    def __init__(self, version: str) -> None:
        wanted = ".".join(map(str, FIRST_VERSION))
        super().__init__("SLSKD_TOO_OLD", f"slskd {version} is too old. Update it to {wanted} or later, then retry.")


class FileMissing(NetworkUnusable):
    """slskd has fetched the file, and we cannot get at it."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__("SLSKD_FILE_MISSING", f"slskd has fetched {file}, and {why}, then retry.")


class TransferCancelled(PeerFailed):
    """Somebody stopped it in slskd, or slskd did for want of an answer."""

    def __init__(self, peer: str, file: str) -> None:
        super().__init__(
            "TRANSFER_CANCELLED", f"slskd does not fetch {file} from {peer} any more: no answer, or cancelled."
        )


class SizeMismatch(PeerFailed):
    """The peer has another size than it advertised."""

    def __init__(self, peer: str, file: str, advertised: int) -> None:
        super().__init__("SIZE_MISMATCH", f"{peer} has {file} with another size than the {advertised} bytes it said.")
