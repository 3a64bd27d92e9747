"""The feed: events as they are, then each whenever it changes, for as long as somebody follows."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from libs.errors import InvalidArgument
from services.webhooks.domain.catalogue import ChangeLog, Position
from services.webhooks.domain.event import Event

POLL = timedelta(seconds=1)
_PAGE = 500
_TOKEN = re.compile(r"(?P<number>\d{1,18})(?:\.(?P<ms>\d{1,14})\.(?P<event>[a-z0-9-]{1,63}))?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event of the feed; `resume_token` leads on behind it."""

    event: Event
    resume_token: str


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Which changes were seen; `position` is how far the events as they are were read, None once all of them were."""

    number: int
    position: Position | None = None

    @classmethod
    def parse(cls, token: str) -> "_Cursor":
        """Raises InvalidArgument."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise InvalidArgument.field("resume_token", "is not one that this stream has sent")
        if match["event"] is None:
            return cls(int(match["number"]))
        received_at = _EPOCH + int(match["ms"]) * _MILLISECOND
        return cls(int(match["number"]), Position(received_at=received_at, event_id=match["event"]))

    def __str__(self) -> str:
        if self.position is None:
            return str(self.number)
        return f"{self.number}.{(self.position.received_at - _EPOCH) // _MILLISECOND}.{self.position.event_id}"


class Feed:
    """Follows the numbered changes. `wake` says that there are new ones; polling finds those of other replicas."""

    def __init__(self, changes: ChangeLog, *, poll: timedelta = POLL) -> None:
        self._changes = changes
        self._poll = poll
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Look for changes now."""
        self._news.set()
        self._news = asyncio.Event()

    async def follow(self, query_filter: str, resume_token: str) -> AsyncIterator[Step]:
        """The events that match, then each change; with a token only what is behind it. Raises InvalidArgument."""
        cursor = _Cursor.parse(resume_token) if resume_token else _Cursor(await self._changes.last_change())
        number = cursor.number
        if cursor.position is not None or not resume_token:
            async for step in self._as_they_are(query_filter, cursor):
                yield step
        while True:
            news = self._news
            changes, after = await self._changes.changes(number, query_filter)
            for change in changes:
                yield Step(event=change.event, resume_token=str(_Cursor(change.number)))
            if after == number:
                await self._wait(news)
            number = after

    async def _as_they_are(self, query_filter: str, cursor: _Cursor) -> AsyncIterator[Step]:
        """What changes meanwhile comes again, as a change after the cursor's number."""
        while events := await self._changes.oldest(query_filter, cursor.position, _PAGE):
            for event in events:
                cursor = _Cursor(cursor.number, Position(received_at=event.received_at, event_id=event.id))
                yield Step(event=event, resume_token=str(cursor))

    async def _wait(self, news: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self._poll.total_seconds()):
                await news.wait()
        except TimeoutError:
            return
