"""The same query is one search on the network."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from libs.clock import ManualClock
from services.acquisition.domain.candidates import Candidate
from services.acquisition.soulseek.errors import Disconnected
from services.acquisition.soulseek.recent import REUSED, RecentSearches

FOUND = [Candidate(peer="ada", folder="x", files=())]


class Network:
    """Counts what it is asked, and answers when it may."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Sequence[Candidate] | Exception = FOUND
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def search(self, query: str) -> Sequence[Candidate]:
        self.asked.append(query)
        await self.may_answer.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def recent(clock: ManualClock) -> RecentSearches:
    return RecentSearches(clock)


async def test_those_who_ask_the_same_at_once_ask_once(recent: RecentSearches) -> None:
    network = Network()

    answers = await asyncio.gather(*(recent.ask("lorem", network.search) for _ in range(10)))

    assert answers == [FOUND] * 10
    assert network.asked == ["lorem"]


async def test_what_was_found_holds_for_a_minute(recent: RecentSearches, clock: ManualClock) -> None:
    network = Network()
    await recent.ask("lorem", network.search)
    await recent.ask("lorem", network.search)
    clock.advance(REUSED)
    await recent.ask("lorem", network.search)

    assert network.asked == ["lorem"] * 2


async def test_who_found_nothing_may_ask_again(recent: RecentSearches) -> None:
    network = Network()
    network.answer = []
    await recent.ask("lorem", network.search)
    await recent.ask("lorem", network.search)

    assert network.asked == ["lorem"] * 2


async def test_who_is_cancelled_leaves_the_search_to_the_others(recent: RecentSearches) -> None:
    network = Network()
    network.may_answer.clear()
    first, second = (asyncio.create_task(recent.ask("lorem", network.search)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    network.may_answer.set()

    assert await second == FOUND


async def test_a_fault_is_everybodys_and_is_not_kept(recent: RecentSearches) -> None:
    network = Network()
    network.answer = Disconnected()
    failed = await asyncio.gather(*(recent.ask("lorem", network.search) for _ in range(2)), return_exceptions=True)
    network.answer = FOUND

    assert all(isinstance(one, Disconnected) for one in failed)
    assert await recent.ask("lorem", network.search) == FOUND
