"""A download as slskd tells it, read with care: its state is several words with commas between them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from libs.outbound.client import UNREADABLE
from services.acquisition.slskd.errors import SlskdFault

SHUT_DOWN = "Application shut down"  # what slskd writes, at its next start, to all that it left open

_LARGEST = 2**53

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A download; `place` is that in the peer's queue, from 1, or 0."""

    id: str
    batch_id: str | None
    peer: str
    path: str
    size: int
    states: frozenset[str]
    received: int
    attempts: int
    exception: str
    requested: datetime | None
    place: int

    @property
    def is_over(self) -> bool:
        """Whether it has ended; a failure may be taken back while slskd has tries left."""
        return "Completed" in self.states

    @property
    def succeeded(self) -> bool:
        """Whether all bytes are with slskd."""
        return "Succeeded" in self.states

    @property
    def is_sending(self) -> bool:
        """Whether the peer's turn has come."""
        return bool(self.states & {"InProgress", "Initializing"})

    @property
    def was_cut_off(self) -> bool:
        """Whether a restart of slskd ended it: slskd then asks for the same file again, as another transfer."""
        return self.is_over and SHUT_DOWN.lower() in self.exception.lower()

    def follows(self, before: "Transfer") -> bool:
        """Whether it is what slskd made of `before` after a restart."""
        same = (self.peer, self.path, self.size) == (before.peer, before.path, before.size)
        later = self.requested is None or before.requested is None or self.requested >= before.requested
        return same and later and self.batch_id is None and self.id != before.id


def read_transfer(raw: Json) -> Transfer:
    """The transfer of one row; raises SlskdFault."""
    try:
        return Transfer(
            id=str(raw["id"]),
            batch_id=None if raw.get("batchId") is None else str(raw["batchId"]) or None,
            peer=str(raw["username"]),
            path=str(raw["filename"]),
            size=_number(raw["size"]),
            states=frozenset(word.strip() for word in str(raw["state"]).split(",")),
            received=_number(raw.get("bytesTransferred")),
            attempts=_number(raw.get("attempts")),
            exception=str(raw.get("exception") or ""),
            requested=_time(raw.get("requestedAt")),
            place=_number(raw.get("placeInQueue")),
        )
    except UNREADABLE as error:
        raise SlskdFault("a transfer is not as it should be") from error


def read_batch(raw: Json) -> list[Transfer]:
    """The transfers of a batch; raises SlskdFault."""
    try:
        return [read_transfer(transfer) for transfer in raw.get("transfers") or ()]
    except UNREADABLE as error:
        raise SlskdFault("a batch is not as it should be") from error


def read_users(users: Any) -> Iterator[Transfer]:
    """The transfers in slskd's lists: users > directories > files. Raises SlskdFault."""
    try:
        for user in users if isinstance(users, list) else [users]:
            for directory in user["directories"]:
                yield from map(read_transfer, directory["files"])
    except UNREADABLE as error:
        raise SlskdFault("its list of transfers is not as it should be") from error


def _number(value: Any) -> int:
    """A count, nothing being 0; raises for what a database could not hold."""
    number = int(value or 0)
    if not 0 <= number <= _LARGEST:
        raise ValueError(f"{number} counts nothing")
    return number


def _time(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
