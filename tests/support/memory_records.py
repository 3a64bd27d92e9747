"""What is remembered of peers, in memory."""

from collections.abc import Collection, Mapping

from services.acquisition.domain.reputation import PeerRecord


class MemoryRecords:
    """Implements `domain.reputation.PeerRecords`; `told` is what it was told, in order."""

    def __init__(self, *records: PeerRecord) -> None:
        self._records = {record.peer: record for record in records}
        self.told: list[tuple[str, str | int]] = []

    async def of(self, peers: Collection[str]) -> Mapping[str, PeerRecord]:
        """What is known of them."""
        return {peer: self._records[peer] for peer in peers if peer in self._records}

    async def failed(self, peer: str, reason: str) -> None:
        """A peer failed."""
        self.told.append((peer, reason))

    async def delivered(self, peer: str, size: int) -> None:
        """A peer delivered."""
        self.told.append((peer, size))
