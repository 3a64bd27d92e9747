"""Many who follow at once: a change is read once for all of them, nobody misses one, and the slow hold nobody up."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, event

from libs.errors import InvalidArgument
from libs.sql.errors import DatabaseUnavailable
from services.acquisition.domain import tail as tails
from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.attempt import FileProgress, Progress, Source
from services.acquisition.domain.bell import Bell
from services.acquisition.domain.feed import Feed
from services.acquisition.domain.journal import News
from services.acquisition.domain.step import Move
from services.acquisition.domain.tail import Mailbox, Tail
from services.acquisition.store import SqlAcquisitionStore
from tests.conformance.acquisition.conftest import CLOCK, Service
from tests.support.waiting import eventually

MANY = 200


class Follower:
    """Somebody who follows, may be interrupted anywhere, and goes on with the last token."""

    def __init__(self, feed: Feed, filter_text: str = "") -> None:
        self._feed = feed
        self._filter = filter_text
        self._token = ""
        self.last: dict[str, Acquisition] = {}
        self.messages = 0

    async def read(self, most: int | None = None) -> None:
        """Reads until it is cancelled, or has so many messages more."""
        async with aclosing(self._feed.follow(self._filter, self._token)) as stream:
            async for acquisition, self._token in stream:
                self.last[acquisition.id] = acquisition
                self.messages += 1
                if most is not None and (most := most - 1) <= 0:
                    return

    async def knows(self, wanted: dict[str, int]) -> bool:
        """Whether it was told of these priorities."""
        return {name: self.last[name].priority for name in wanted if name in self.last} == wanted


@pytest.fixture
async def feed(service: Service) -> AsyncIterator[Feed]:
    feed = Feed(service.store, bell=service.bell)
    yield feed
    await feed.aclose()


class Still(Tail):
    """Makes no passes but those that a test asks for."""

    async def _run(self) -> None:
        await asyncio.Event().wait()


@pytest.fixture
async def tail(service: Service) -> AsyncIterator[Tail]:
    tail = Still(service.store, bell=Bell())
    yield tail
    await tail.aclose()


@asynccontextmanager
async def reading(*followers: Follower) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(follower.read()) for follower in followers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements of this process, whatever their engine."""
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *more: Any) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def change(service: Service, acquisition: Acquisition, priority: int) -> None:
    await service.store.set_priority(acquisition.id, priority, etag="", actor="ann")
    service.bell.ring()


async def mailbox(tail: Tail, service: Service, filter_text: str = "") -> Mailbox:
    joined = await tail.join(filter_text, await service.store.head(), {})
    assert isinstance(joined, Mailbox)
    return joined


async def cost(tail: Tail) -> int:
    with statements() as seen:
        await tail.run_once()
    return len(seen)


async def test_a_pass_costs_as_much_for_many_followers_as_for_one(service: Service, tail: Tail) -> None:
    asked = await service.ask()
    mailboxes = [await mailbox(tail, service)]
    idle = [await cost(tail)]
    await change(service, asked, 6)
    busy = [await cost(tail)]

    mailboxes += [await mailbox(tail, service) for _ in range(MANY - 1)]
    idle.append(await cost(tail))
    await change(service, asked, 7)
    busy.append(await cost(tail))

    assert (idle[0], busy[0]) == (idle[1], busy[1])
    told = [await each.next() for each in mailboxes]
    assert {each.acquisition.priority for each in told if each} == {7}


async def test_each_further_filter_costs_one_statement(service: Service, tail: Tail) -> None:
    asked = await service.ask()
    followed = [await mailbox(tail, service)]
    await change(service, asked, 6)
    alone = await cost(tail)

    followed += [await mailbox(tail, service, f"priority = {number}") for number in (6, 7, 7, 8)]
    await change(service, asked, 7)

    assert await cost(tail) == alone + 3
    matching = [await followed[number].next() for number in (2, 3)]
    assert {each.acquisition.priority for each in matching if each} == {7}


async def test_many_followers_are_told_every_change(service: Service, feed: Feed) -> None:
    asked = [await service.ask(f"Title {number}") for number in range(4)]
    followers = [Follower(feed) for _ in range(20)]
    async with reading(*followers):
        for priority in (6, 7):
            for acquisition in asked:
                await change(service, acquisition, priority)
            wanted = {acquisition.id: priority for acquisition in asked}

            async def everybody() -> bool:
                return all([await each.knows(wanted) for each in followers])  # noqa: B023 - it is awaited at once

            await eventually(everybody)


@pytest.mark.parametrize("seed", range(2))
async def test_nobody_misses_a_change_however_often_they_reconnect(service: Service, feed: Feed, seed: int) -> None:
    chance = random.Random(seed)
    asked = [await service.ask(f"Title {number}") for number in range(4)]
    followers = [Follower(feed) for _ in range(4)]
    wanted = {each.id: each.priority for each in asked}

    async def come_and_go(follower: Follower) -> None:
        while True:
            await follower.read(chance.randint(1, 3))

    tasks = [asyncio.create_task(come_and_go(each)) for each in followers]
    for _ in range(30):
        acquisition = chance.choice(asked)
        wanted[acquisition.id] = wanted[acquisition.id] % 10 + 1
        await change(service, acquisition, wanted[acquisition.id])
    async with asyncio.timeout(60):
        while not all([await each.knows(wanted) for each in followers]):
            await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_the_token_of_the_first_of_several_changes_leads_to_the_others(service: Service, feed: Feed) -> None:
    asked = [await service.ask(f"Title {number}") for number in range(3)]
    follower = Follower(feed)
    await follower.read(3)
    for acquisition in asked:
        await change(service, acquisition, 9)

    for _ in asked:
        await follower.read(1)

    assert await follower.knows({each.id: 9 for each in asked})


async def test_who_does_not_read_is_told_the_last_of_many_changes_once(service: Service, tail: Tail) -> None:
    asked, other = await service.ask("A"), await service.ask("B")
    slow = await mailbox(tail, service)
    for priority in (6, 7):
        await change(service, asked, priority)
        await tail.run_once()
        await change(service, other, priority)
        await tail.run_once()

    told = [await slow.next() for _ in range(2)]

    assert [(each.acquisition.id, each.acquisition.priority) for each in told if each] == [(asked.id, 7), (other.id, 7)]


async def test_who_left_too_much_unread_catches_up_and_holds_nobody_up(
    service: Service, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "MOST_WAITING", 3)
    first = await service.ask("First")
    quick = Follower(feed)
    async with reading(quick), aclosing(feed.follow("", "")) as stalled:
        await anext(stalled)
        await change(service, first, 6)
        await anext(stalled)  # it has a mailbox now, and reads no more
        asked = [await service.ask(f"Title {number}") for number in range(10)]
        wanted = {each.id: each.priority for each in asked}

        async def told() -> bool:
            return await quick.knows(wanted)

        await eventually(told)
        caught_up = [(await anext(stalled))[0].id for _ in asked]

    assert caught_up == [each.id for each in asked]


async def test_progress_is_told_once_and_only_while_it_grows(service: Service, tail: Tail) -> None:
    now = CLOCK.now()
    asked = await service.ask()
    trying = asked.moved(State.SEARCHING, now).moved(State.DOWNLOADING, now).tried(Source.SOULSEEK, "ada", now)
    await service.end(await service.claim(), Move(acquisition=trying))
    claim = await service.claim()
    followed = await mailbox(tail, service)
    known = await followed.next()
    waiting = asyncio.ensure_future(followed.next())

    await tail.run_once()
    await asyncio.sleep(0)
    assert not waiting.done()
    first = Progress(received_bytes=3)
    await service.store.progress(claim, 1, first)
    await tail.run_once()
    seen = [known, await waiting]
    faster = replace(first, bytes_per_second=7, files=(FileProgress(name="a.flac", peer="ada"),))
    await service.store.progress(claim, 1, faster)
    await tail.run_once()

    seen.append(await followed.next())
    attempts = [each.acquisition.attempt for each in seen if each is not None]
    assert [one.progress for one in attempts if one is not None] == [Progress(), first, faster]


async def test_nothing_is_read_while_nobody_follows(
    service: Service, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "POLL_SECONDS", 0.01)
    asked = await service.ask()
    follower = Follower(feed)
    async with reading(follower):
        await change(service, asked, 6)

        async def told() -> bool:
            return await follower.knows({asked.id: 6})

        await eventually(told)

    async def at_rest() -> bool:
        return not any(task.get_name() == "tail of the journal" for task in asyncio.all_tasks())

    assert await eventually(at_rest)


async def test_a_bad_filter_is_refused_also_with_a_token(service: Service, feed: Feed) -> None:
    await service.ask()
    async with aclosing(feed.follow("", "")) as stream:
        _, token = await anext(stream)
    follower = Follower(feed, "colour = red")
    follower._token = token

    with pytest.raises(InvalidArgument):
        await follower.read(1)


class Faulty(SqlAcquisitionStore):
    """A journal that cannot be read while `away`."""

    away = False

    async def news(self, *, after: int, limit: int) -> News:
        if self.away:
            raise DatabaseUnavailable("the database is away")
        return await super().news(after=after, limit=limit)


async def test_who_follows_learns_that_the_database_is_away_and_can_come_back(service: Service) -> None:
    store = service.store
    store.__class__ = Faulty
    assert isinstance(store, Faulty)
    feed = Feed(store, bell=service.bell)
    asked = await service.ask()
    follower = Follower(feed)
    await follower.read(1)
    reading_on = asyncio.create_task(follower.read())
    await change(service, asked, 6)
    await eventually(lambda: follower.knows({asked.id: 6}))
    store.away = True
    service.bell.ring()

    with pytest.raises(DatabaseUnavailable):
        await reading_on

    store.away = False
    await change(service, asked, 7)
    await follower.read(1)
    assert await follower.knows({asked.id: 7})
    await feed.aclose()
