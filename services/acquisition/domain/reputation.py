"""What is remembered of a peer, and when it is not asked for a while.

Three counted failures within a day block a peer from the third on, for a day unless the settings say otherwise; later
ones do not make it longer. A success halves the count, and lifts a block that no longer has its three. A block by hand
is changed by hands alone.

Counted is what a peer does after it has begun, or does again: see `COUNTED` and `FORGIVEN_ONCE`. Never counted: that it
is offline, that its queue is long, and faults of our own disk, session or patience.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

MEMORY = timedelta(hours=24)
BLOCK = timedelta(hours=24)
THRESHOLD = 3
FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)

COUNTED = frozenset(
    {
        "TRANSFER_STALLED",
        "TRANSFER_BROKEN",
        "TRANSFER_REJECTED",
        "SIZE_MISMATCH",
        "NOT_DECODABLE",
        "TRUNCATED",
        "WRONG_CONTAINER",
        "FALSE_QUALITY",
        "WRONG_DURATION",
        "WRONG_TAGS",
        "DUPLICATE_CONTENT",
    }
)
"""Reasons of failure that are the peer's own."""

FORGIVEN_ONCE = frozenset({"TRANSFER_BROKEN", "TRANSFER_REJECTED"})
"""Of these the first in a day is remembered, not counted: the peer's client may just have been started or stopped."""

SLOW = "TRANSFER_TOO_SLOW"
"""Remembered, so that faster peers are asked first, and never counted: a slow line is no fault."""

_POINTS_A_FAILURE = 5.0
_POINTS_SLOW = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRecord:
    """One peer. `failures` are the counted ones since `first_failure`; `blocked_until` may have passed.

    `last_failure` is its reason, at `failed_at`; `reason` is why somebody blocked it by hand.
    """

    peer: str
    failures: int = 0
    successes: int = 0
    received_bytes: int = 0
    blocked_until: datetime | None = None
    manual: bool = False
    reason: str = ""
    first_failure: datetime | None = None
    failed_at: datetime | None = None
    last_failure: str = ""

    def is_blocked(self, now: datetime) -> bool:
        """Whether the peer is not to be asked."""
        return self.blocked_until is not None and self.blocked_until > now

    def penalty(self) -> float:
        """The points that its offers lose in a ranking."""
        slow = _POINTS_SLOW if self.last_failure == SLOW else 0.0
        return _POINTS_A_FAILURE * self.failures + slow

    def at(self, now: datetime) -> "PeerRecord":
        """The record as it counts now: failures of yesterday and blocks that have ended are forgotten."""
        record = self
        if record.first_failure is not None and now - record.first_failure >= MEMORY:
            record = replace(record, failures=0, first_failure=None)
        if record.failed_at is not None and now - record.failed_at >= MEMORY:
            record = replace(record, failed_at=None, last_failure="")
        if record.blocked_until is not None and not record.is_blocked(now):
            record = replace(record, blocked_until=None, manual=False, reason="")
        return record

    def failed(self, reason: str, now: datetime, *, block: timedelta = BLOCK) -> "PeerRecord":
        """After a failure that `is_remembered`; one too many blocks the peer for so long."""
        record = self.at(now)
        again = record.last_failure in FORGIVEN_ONCE
        record = replace(record, failed_at=now, last_failure=reason)
        if reason not in COUNTED or (reason in FORGIVEN_ONCE and not again):
            return record
        record = replace(record, failures=record.failures + 1, first_failure=record.first_failure or now)
        if record.failures >= THRESHOLD and record.blocked_until is None:
            record = replace(record, blocked_until=now + block)
        return record

    def delivered(self, size: int, now: datetime) -> "PeerRecord":
        """After a file of so many bytes, whole and right."""
        record = self.at(now)
        failures = record.failures // 2
        lifted = failures < THRESHOLD and not record.manual
        return replace(
            record,
            successes=record.successes + 1,
            received_bytes=record.received_bytes + size,
            failures=failures,
            first_failure=record.first_failure if failures else None,
            failed_at=None,
            last_failure="",
            blocked_until=None if lifted else record.blocked_until,
        )

    def blocked(self, until: datetime | None, reason: str) -> "PeerRecord":
        """Blocked by hand, `until` somebody ends it where that is None."""
        return replace(self, blocked_until=until or FOR_EVER, manual=True, reason=reason)

    def unblocked(self) -> "PeerRecord":
        """Free again, with all failures forgotten."""
        bare = replace(self, failures=0, first_failure=None, failed_at=None, last_failure="")
        return replace(bare, blocked_until=None, manual=False, reason="")


def is_remembered(reason: str) -> bool:
    """Whether a failure with this reason says anything about the peer."""
    return reason in COUNTED or reason == SLOW


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerPage:
    """One page of a list of peers; `next_token` is empty on the last."""

    records: Sequence[PeerRecord]
    next_token: str


class PeerRecords(Protocol):
    """Remembers peers. No method raises for a store that is away: it is done without, and logged."""

    async def of(self, peers: Collection[str]) -> Mapping[str, PeerRecord]:
        """What is remembered of those peers, read at once; of whom nothing is known, is absent."""
        ...

    async def failed(self, peer: str, reason: str) -> None:
        """A peer failed; reasons that are not its own change nothing."""
        ...

    async def delivered(self, peer: str, size: int) -> None:
        """A peer delivered a file, which passed verification, of so many bytes."""
        ...
