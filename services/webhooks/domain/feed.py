"""The feed: events as they are, then each whenever it changes, for as long as somebody follows."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from libs.errors import InvalidArgument
from services.webhooks.domain.catalogue import ChangeLog, Query
from services.webhooks.domain.event import Event

POLL = timedelta(seconds=1)
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event of the feed; `resume_token` leads on behind it, and is empty where only the start does."""

    event: Event
    resume_token: str = ""


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
        """The events that match, then each change; with a token only the changes behind it. Raises InvalidArgument."""
        if resume_token:
            number = _number(resume_token)
        else:
            number = await self._changes.last_change()
            async for step in self._snapshot(query_filter, number):
                yield step
        while True:
            news = self._news
            changes, after = await self._changes.changes(number, query_filter)
            for change in changes:
                yield Step(event=change.event, resume_token=str(change.number))
            if after == number:
                await self._wait(news)
            number = after

    async def _snapshot(self, query_filter: str, number: int) -> AsyncIterator[Step]:
        """Only its last step has a token: who is cut off before it starts again and misses nothing."""
        waiting: Event | None = None
        token = ""
        while True:
            query = Query(filter=query_filter, order_by="receive_time", page_size=_PAGE, page_token=token)
            page = await self._changes.page(query)
            for event in page.events:
                if waiting is not None:
                    yield Step(event=waiting)
                waiting = event
            token = page.next_token
            if not token:
                break
        if waiting is not None:
            yield Step(event=waiting, resume_token=str(number))

    async def _wait(self, news: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self._poll.total_seconds()):
                await news.wait()
        except TimeoutError:
            return


def _number(resume_token: str) -> int:
    if not resume_token.isascii() or not resume_token.isdecimal() or len(resume_token) > len(str(1 << 62)):
        raise InvalidArgument.field("resume_token", "is not one that this stream has sent")
    return int(resume_token)
