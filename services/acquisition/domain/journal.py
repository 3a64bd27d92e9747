"""The journal of changes, as followers read it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from services.acquisition.domain.acquisition import Acquisition

PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What changed behind some number: each acquisition with the number of its last change, and the newest number."""

    changed: Mapping[str, int]
    seq: int


class Journal(Protocol):
    """Where changes are written down, in the transaction that makes them."""

    async def head(self) -> int:
        """The number of the newest change."""
        ...

    async def page_by_id(self, filter_text: str, *, after: str, limit: int) -> list[Acquisition]:
        """Acquisitions that match, in the order of their ids, behind `after`."""
        ...

    async def news(self, *, after: int, limit: int) -> News:
        """The next changes, whosever they are."""
        ...

    async def running(self) -> Mapping[str, object]:
        """Acquisitions with a running attempt, each with a mark that is another one when its progress has grown."""
        ...

    async def matching(self, filters: Collection[str], ids: Collection[str]) -> Mapping[str, list[Acquisition]]:
        """Those of the acquisitions that match, by filter. Raises InvalidArgument for a bad one."""
        ...
