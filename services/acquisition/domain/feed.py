"""Follows acquisitions: those that match now, then each one whenever it changes, without a gap over reconnects.

A position is where a follower stands: `seq` in the journal of changes and, while the acquisitions of the beginning are
still being sent, the last one of them (`after`). Changes are sent as the acquisition is at that moment, so that several
changes may arrive as one; the last one always arrives.
"""

import base64
import binascii
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from libs.errors import InvalidArgument
from services.acquisition.domain.acquisition import Acquisition
from services.acquisition.domain.attempt import Progress
from services.acquisition.domain.bell import Bell

PAGE = 100
POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a follower stands: behind the change `seq`, and while `after` is not None, behind that acquisition."""

    seq: int
    after: str | None = None

    def token(self) -> str:
        """The position as an opaque word."""
        return base64.urlsafe_b64encode(json.dumps([self.seq, self.after]).encode()).decode().rstrip("=")

    @classmethod
    def from_token(cls, token: str) -> "Position":
        """The position that `token` wrote. Raises InvalidArgument for anything else."""
        try:
            seq, after = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        except (ValueError, TypeError, binascii.Error) as error:
            raise _bad_token() from error
        if type(seq) is not int or not 0 <= seq < 1 << 63 or not (after is None or isinstance(after, str)):
            raise _bad_token()
        return cls(seq=seq, after=after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Acquisitions that changed, and the number of the last change that was looked at."""

    acquisitions: tuple[Acquisition, ...]
    seq: int


class Journal(Protocol):
    """Where changes are written down, in the transaction that makes them."""

    async def head(self) -> int:
        """The number of the newest change."""
        ...

    async def page_by_id(self, filter_text: str, *, after: str, limit: int) -> list[Acquisition]:
        """Acquisitions that match, in the order of their ids, behind `after`."""
        ...

    async def changes(self, filter_text: str, *, after: int, limit: int) -> Changes:
        """The acquisitions behind the next changes, each once, where they match."""
        ...

    async def transferring(self, filter_text: str) -> list[Acquisition]:
        """Acquisitions that match and have a running attempt: their progress is no change, yet worth telling."""
        ...


class Feed:
    """Makes streams out of the journal."""

    def __init__(self, journal: Journal, *, bell: Bell) -> None:
        self._journal = journal
        self._bell = bell

    async def follow(self, filter_text: str, token: str) -> AsyncIterator[tuple[Acquisition, str]]:
        """Acquisitions with the token that goes on behind each. Raises InvalidArgument for a bad filter or token."""
        position = Position.from_token(token) if token else Position(seq=await self._journal.head(), after="")
        while position.after is not None:
            page = await self._journal.page_by_id(filter_text, after=position.after, limit=PAGE)
            for acquisition in page:
                position = Position(seq=position.seq, after=acquisition.id)
                yield acquisition, position.token()
            if not page:
                position = Position(seq=position.seq)
        async for change in self._changes(filter_text, position.seq):
            yield change

    async def _changes(self, filter_text: str, seq: int) -> AsyncIterator[tuple[Acquisition, str]]:
        told: dict[str, Progress] = {}
        while True:
            changes = await self._journal.changes(filter_text, after=seq, limit=PAGE)
            for acquisition in changes.acquisitions:
                told[acquisition.id] = _progress(acquisition)
                yield acquisition, Position(seq=changes.seq).token()
            for acquisition in await self._moved_on(filter_text, told):
                told[acquisition.id] = _progress(acquisition)
                yield acquisition, Position(seq=changes.seq).token()
            if changes.seq == seq:
                await self._bell.heard(POLL_SECONDS)
            seq = changes.seq

    async def _moved_on(self, filter_text: str, told: dict[str, Progress]) -> list[Acquisition]:
        moving = await self._journal.transferring(filter_text)
        for ended in told.keys() - {acquisition.id for acquisition in moving}:
            del told[ended]
        return [acquisition for acquisition in moving if told.get(acquisition.id) != _progress(acquisition)]


def _progress(acquisition: Acquisition) -> Progress:
    return acquisition.attempts[-1].progress if acquisition.attempts else Progress()


def _bad_token() -> InvalidArgument:
    return InvalidArgument.field("resume_token", "is not a token of this method: leave it out to start anew")
