"""What a download that has ended badly says about its peer."""

from services.acquisition.domain import listings
from services.acquisition.domain.peer_faults import PeerOffline, TransferBroken, TransferRejected, TransferStalled
from services.acquisition.domain.peers import PeerFailed
from services.acquisition.slskd.errors import SizeMismatch, TransferCancelled
from services.acquisition.slskd.transfer import Transfer

ATTEMPTS = 3  # of slskd's own, unless somebody configured others
_FINAL = frozenset({"Cancelled", "Rejected", "Aborted"})
_MAX_TEXT = 200


def is_final(transfer: Transfer) -> bool:
    """Whether slskd will not take the failure back."""
    return bool(transfer.states & _FINAL) or transfer.attempts >= ATTEMPTS


def failure(transfer: Transfer) -> PeerFailed:
    """The failure, in the words that decide what counts against a peer."""
    peer, name = transfer.peer, listings.file_name(transfer.path)
    why = transfer.exception[:_MAX_TEXT]
    told = why.lower()
    if "Rejected" in transfer.states:
        return TransferRejected(peer, name, f'it says "{why}".')
    if "Cancelled" in transfer.states:
        return TransferCancelled(peer, name)
    if "size" in told and "match" in told:
        return SizeMismatch(peer, name, transfer.size)
    if "TimedOut" in transfer.states and transfer.received:
        return TransferStalled(peer, name, "slskd waited for it in vain")
    return TransferBroken(peer, name, transfer.received, transfer.size) if transfer.received else PeerOffline(peer)
