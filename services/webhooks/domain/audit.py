"""The audit trail: every change of every event and every act of upkeep, proven by a chain of hashes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

DEFAULT_CHECKED = 100_000  # records that one check looks at where the caller names no number


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One change of one event, or one act of upkeep; `sequence` counts all, in the order of their commits."""

    sequence: int
    subject: str
    from_state: str
    to_state: str
    actor: str
    detail: Mapping[str, Any]
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which records, as the caller wrote it."""

    filter: str = ""
    page_size: int = 0
    page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Some records, newest first; the token leads to the next ones, and is empty on the last page."""

    records: Sequence[AuditRecord]
    next_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailVerdict:
    """What a check found: `fault` says what is wrong first, and is empty where nothing is.

    `first` and `last` are the numbers between which it looked, 0 where there is nothing; `complete` says whether it
    reached the newest record.
    """

    fault: str = ""
    first: int = 0
    last: int = 0
    records: int = 0
    complete: bool

    @property
    def intact(self) -> bool:
        """Whether every record is as it was written, and none is missing."""
        return not self.fault


class AuditTrail(Protocol):
    """The trail, for those who read it and check it."""

    async def page(self, query: AuditQuery) -> AuditPage:
        """A page of records; raises InvalidArgument for a filter or token that cannot be read."""
        ...

    async def verify(self, after: int, max_records: int) -> TrailVerdict:
        """Recompute the chain behind that number (0: from the oldest record that is kept), some records at least.

        Steps of the chain are checked whole, so that a few more may be looked at; 0 is 100,000. Go on from `last`.
        """
        ...
