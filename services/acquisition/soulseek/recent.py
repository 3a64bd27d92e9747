"""The same query at once, or within a minute, is one search on the network: every search costs of its budget."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from libs.clock import Clock
from services.acquisition.domain.candidates import Candidate

REUSED = timedelta(minutes=1)
_REMEMBERED = 4  # with up to fifty thousand files each


@dataclass(frozen=True, slots=True)
class _Answer:
    candidates: Sequence[Candidate]
    at: float


class RecentSearches:
    """Searches under way, and what those found that have just ended; who finds nothing may ask again at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: dict[str, asyncio.Task[Sequence[Candidate]]] = {}
        self._found: OrderedDict[str, _Answer] = OrderedDict()

    async def ask(self, query: str, search: Callable[[str], Awaitable[Sequence[Candidate]]]) -> Sequence[Candidate]:
        """What `search` finds for the query, or found. Who asks may be cancelled, the search goes on for others."""
        self._forget()
        if (known := self._found.get(query)) is not None:
            return known.candidates
        running = self._running.get(query)
        if running is None:
            running = self._running[query] = asyncio.create_task(self._search(query, search))
            running.add_done_callback(_retrieve)
        return await asyncio.shield(running)

    async def _search(self, query: str, search: Callable[[str], Awaitable[Sequence[Candidate]]]) -> Sequence[Candidate]:
        try:
            found = await search(query)
        finally:
            del self._running[query]
        if found:
            self._found[query] = _Answer(found, self._clock.monotonic())
            self._found.move_to_end(query)
        self._forget()
        return found

    def _forget(self) -> None:
        """Let the oldest go, where there are too many or they are too old."""
        oldest = self._clock.monotonic() - REUSED.total_seconds()
        while self._found and (len(self._found) > _REMEMBERED or next(iter(self._found.values())).at <= oldest):
            self._found.popitem(last=False)


def _retrieve(task: asyncio.Task[Sequence[Candidate]]) -> None:
    """A fault that nobody waits for any more is none."""
    if not task.cancelled():
        task.exception()
