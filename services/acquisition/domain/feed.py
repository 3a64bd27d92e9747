"""Follows acquisitions: those that match now, then each one whenever it changes, without a gap over reconnects.

A position is where a follower stands: `seq` in the journal of changes and, while the acquisitions of the beginning are
still being sent, the last one of them (`after`). Changes are sent as the acquisition is at that moment, so that several
changes may arrive as one; the last one always arrives. They come in the order of their last changes, so that the
position behind one is behind all that were sent.
"""

import base64
import binascii
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from libs.errors import InvalidArgument
from services.acquisition.domain.acquisition import Acquisition
from services.acquisition.domain.attempt import AttemptState, Progress
from services.acquisition.domain.bell import Bell
from services.acquisition.domain.journal import PAGE, Journal
from services.acquisition.domain.tail import Missed, Tail, progress_of


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
        if type(seq) is not int or not 0 <= seq < 1 << 63 or not (after is None or _is_id(after)):
            raise _bad_token()
        return cls(seq=seq, after=after)


class Feed:
    """Makes streams out of the journal, whose end all of them share."""

    def __init__(self, journal: Journal, *, bell: Bell) -> None:
        self._journal = journal
        self._tail = Tail(journal, bell=bell)

    async def aclose(self) -> None:
        """Reads nothing more: goes before the end of the database, after the end of the streams."""
        await self._tail.aclose()

    async def follow(self, filter_text: str, token: str) -> AsyncGenerator[tuple[Acquisition, str]]:
        """Acquisitions with the token that goes on behind each. Raises InvalidArgument for a bad filter or token."""
        position = Position.from_token(token) if token else Position(seq=await self._journal.head(), after="")
        told: dict[str, Progress] = {}
        while position.after is not None:
            page = await self._journal.page_by_id(filter_text, after=position.after, limit=PAGE)
            for acquisition in page:
                position = Position(seq=position.seq, after=acquisition.id)
                told |= _progress(acquisition)
                yield acquisition, position.token()
            if len(page) < PAGE:
                position = Position(seq=position.seq)
        async with aclosing(self._changes(filter_text, position.seq, told)) as changes:
            async for acquisition, seq in changes:
                yield acquisition, Position(seq=seq).token()

    async def _changes(
        self, filter_text: str, seq: int, told: dict[str, Progress]
    ) -> AsyncGenerator[tuple[Acquisition, int]]:
        """Acquisitions that changed behind `seq`, each with the number behind which it is told."""
        while True:
            joined = await self._tail.join(filter_text, seq, told)
            if isinstance(joined, Missed):
                for change in joined.told:
                    told |= _progress(change.acquisition)
                    yield change.acquisition, change.seq or seq
                seq = joined.seq
                continue
            told = {}
            try:
                while (news := await joined.next()) is not None:
                    seq = news.seq or seq
                    yield news.acquisition, seq
            finally:
                self._tail.leave(joined)


def _progress(acquisition: Acquisition) -> dict[str, Progress]:
    """The progress that this tells, if it may go on by itself."""
    running = acquisition.attempts and acquisition.attempts[-1].state is AttemptState.RUNNING
    return {acquisition.id: progress_of(acquisition)} if running else {}


def _is_id(after: object) -> bool:
    """An id, or the empty one before all of them: nothing that a database would stumble over."""
    return isinstance(after, str) and after.isascii() and after.isprintable()


def _bad_token() -> InvalidArgument:
    return InvalidArgument.field("resume_token", "is not a token of this method: leave it out to start anew")
