"""The end of the journal, read once for all followers of a process, however many there are.

A pass reads the changes and the progress since the one before, then the acquisitions behind them once for each filter
that somebody follows, and lays them into the followers' mailboxes. While nobody follows, nothing is read.

A follower catches up by itself; when it has seen every change, it gets a mailbox under the lock that passes hold: what
it has seen and what its mailbox will tell meet without a gap. Whoever leaves too much in its mailbox loses it, and
catches up again: a slow follower costs neither others' time nor memory.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from services.acquisition.domain.acquisition import Acquisition
from services.acquisition.domain.attempt import Progress
from services.acquisition.domain.bell import Bell
from services.acquisition.domain.journal import PAGE, Journal, News

POLL_SECONDS = 1.0
MOST_WAITING = 1_000  # changed acquisitions in a mailbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An acquisition as it is; `seq` numbers the change that is told, and is None for mere progress."""

    acquisition: Acquisition
    seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """Some of what a follower missed, in the order of the changes, and how far that goes."""

    told: tuple[Told, ...]
    seq: int


class Mailbox:
    """What a follower is yet to be told: each acquisition once, as it was last, in the order of the changes."""

    def __init__(self, filter_text: str, since: int) -> None:
        self.filter = filter_text
        self._since = since
        self._changed: OrderedDict[str, Told] = OrderedDict()
        self._grown: dict[str, Told] = {}
        self._news = asyncio.Event()
        self._error: BaseException | None = None
        self.lost = False

    def put(self, told: Told) -> None:
        """Adds an acquisition, in place of what was to be told of it."""
        name = told.acquisition.id
        if told.seq is None:
            if (change := self._changed.get(name)) is None:
                self._grown[name] = told
            else:
                self._changed[name] = replace(told, seq=change.seq)
        elif told.seq > self._since:
            self._grown.pop(name, None)
            self._changed[name] = told
            self._changed.move_to_end(name)
        if len(self._changed) > MOST_WAITING:
            self.lost = True
            self._changed.clear()
            self._grown.clear()
        self._news.set()

    def fail(self, error: BaseException) -> None:
        """Nothing more will come."""
        self._error = error
        self._news.set()

    async def next(self) -> Told | None:
        """Waits for the next one; None when too much was left here. Raises what kept the tail from going on."""
        while not (self.lost or self._changed or self._grown):
            if self._error is not None:
                raise self._error
            self._news.clear()
            await self._news.wait()
        if self.lost:
            return None
        return (self._changed.popitem(last=False) if self._changed else self._grown.popitem())[1]


class Tail:
    """Follows the journal while somebody has a mailbox."""

    def __init__(self, journal: Journal, *, bell: Bell) -> None:
        self._journal = journal
        self._bell = bell
        self._lock = asyncio.Lock()
        self._mailboxes: set[Mailbox] = set()
        self._running: asyncio.Task[None] | None = None
        self._seq = 0
        self._progress: Mapping[str, object] = {}

    async def join(self, filter_text: str, seq: int, told: Mapping[str, Progress]) -> Missed | Mailbox:
        """What a follower missed behind a change; a mailbox once it missed nothing.

        `told` is the progress that it knows: whatever moved on since is in its mailbox. Raises InvalidArgument for a
        bad filter.
        """
        async with self._lock:
            news = await self._journal.news(after=seq, limit=PAGE)
            found = await self._journal.matching([filter_text], news.changed)
            if news.seq > seq:
                return Missed(told=tuple(_in_order(found[filter_text], news.changed)), seq=news.seq)
            return await self._opened(filter_text, seq, told)

    def leave(self, mailbox: Mailbox) -> None:
        """Nobody reads this mailbox any more."""
        self._mailboxes.discard(mailbox)

    async def aclose(self) -> None:
        """Ends between two passes: whoever still follows hears nothing more."""
        async with self._lock:
            self._mailboxes.clear()
            if (running := self._running) is None:
                return
            running.cancel()
        await asyncio.wait([running])

    async def run_once(self) -> bool:
        """One pass; whether there may be more to tell at once."""
        async with self._lock:
            news = await self._journal.news(after=self._seq, limit=PAGE)
            progress = await self._journal.running()
            moved = {name for name, mark in progress.items() if self._progress.get(name) != mark}
            filters = {mailbox.filter for mailbox in self._mailboxes if not mailbox.lost}
            found = await self._journal.matching(filters, news.changed.keys() | moved)
            more = news.seq > self._seq
            self._seq, self._progress = news.seq, progress
            self._deliver(found, news, moved)
            return more

    def _deliver(self, found: Mapping[str, list[Acquisition]], news: News, moved: Collection[str]) -> None:
        for filter_text, acquisitions in found.items():
            changes = _in_order([each for each in acquisitions if each.id in news.changed], news.changed)
            grown = [Told(acquisition=each, seq=None) for each in acquisitions if each.id in moved]
            for mailbox in [each for each in self._mailboxes if each.filter == filter_text and not each.lost]:
                for told in (*changes, *grown):
                    mailbox.put(told)

    async def _opened(self, filter_text: str, seq: int, told: Mapping[str, Progress]) -> Mailbox:
        if not self._mailboxes:
            self._seq, self._progress = seq, await self._journal.running()
        moving = await self._journal.matching([filter_text], self._progress)
        mailbox = Mailbox(filter_text, seq)
        for acquisition in moving[filter_text]:
            if told.get(acquisition.id) != progress_of(acquisition):
                mailbox.put(Told(acquisition=acquisition, seq=None))
        self._mailboxes.add(mailbox)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name="tail of the journal")
            self._running.add_done_callback(self._ended)
        return mailbox

    async def _run(self) -> None:
        while self._mailboxes:
            rings = self._bell.rings
            if not await self.run_once():
                await self._bell.heard(POLL_SECONDS, after=rings)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._running is task:
            self._running = None
        if task.cancelled() or (error := task.exception()) is None:
            return
        for mailbox in self._mailboxes:
            mailbox.fail(error)
        self._mailboxes.clear()


def progress_of(acquisition: Acquisition) -> Progress:
    """How far its last attempt is."""
    return acquisition.attempts[-1].progress if acquisition.attempts else Progress()


def _in_order(acquisitions: Collection[Acquisition], changed: Mapping[str, int]) -> list[Told]:
    ordered = sorted(acquisitions, key=lambda each: changed[each.id])
    return [Told(acquisition=each, seq=changed[each.id]) for each in ordered]
