"""Following acquisitions: what is there, then every change, and nothing is lost over a reconnection."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from libs.errors import InvalidArgument
from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.attempt import Failure, Progress, Source
from services.acquisition.domain.feed import Feed, Position
from services.acquisition.domain.step import Move
from tests.conformance.acquisition.conftest import CLOCK, Service

FAILURE = Failure(reason="NO_CANDIDATES", message="Nobody has it.")

Stream = AsyncIterator[tuple[Acquisition, str]]


@pytest.fixture
async def feed(service: Service) -> AsyncIterator[Feed]:
    feed = Feed(service.store, bell=service.bell)
    yield feed
    await feed.aclose()


async def told(stream: Stream, count: int) -> list[tuple[Acquisition, str]]:
    """The next messages of a stream."""
    async with asyncio.timeout(10):
        return [await anext(stream) for _ in range(count)]


async def move(service: Service, acquisition: Acquisition) -> None:
    await service.end(await service.claim(), Move(acquisition=acquisition.moved(State.SEARCHING, CLOCK.now())))


async def test_a_stream_begins_with_what_is_there(service: Service, feed: Feed) -> None:
    asked = [await service.ask(title) for title in ("A", "B")]

    messages = await told(feed.follow("", ""), 2)

    assert [acquisition for acquisition, _ in messages] == asked


async def test_a_change_is_told_as_it_is_then(service: Service, feed: Feed) -> None:
    asked = await service.ask()
    stream = feed.follow("", "")
    await told(stream, 1)

    await move(service, asked)

    ((changed, _),) = await told(stream, 1)
    assert (changed.id, changed.state) == (asked.id, State.SEARCHING)


async def test_a_new_acquisition_is_told(service: Service, feed: Feed) -> None:
    stream = feed.follow("", "")
    waiting = asyncio.ensure_future(told(stream, 1))

    asked = await service.ask()

    ((new, _),) = await waiting
    assert new == asked


async def test_only_what_matches_is_told(service: Service, feed: Feed) -> None:
    asked = await service.ask("Lorem")
    await service.end(await service.claim(), Move(acquisition=asked.failed(FAILURE, CLOCK.now())))
    await service.ask("Ipsum")

    ((failed, _),) = await told(feed.follow("state = FAILED", ""), 1)

    assert failed.album.title == "Lorem"


async def test_a_token_of_the_beginning_goes_on_with_the_rest_of_it(service: Service, feed: Feed) -> None:
    asked = [await service.ask(title) for title in ("A", "B", "C")]
    ((_, token),) = await told(feed.follow("", ""), 1)

    rest = await told(feed.follow("", token), 2)

    assert [acquisition.id for acquisition, _ in rest] == [acquisition.id for acquisition in asked[1:]]


async def test_changes_while_nobody_listened_are_told_after_the_token(service: Service, feed: Feed) -> None:
    first = await service.ask("A")
    stream = feed.follow("", "")
    await told(stream, 1)
    await move(service, first)
    ((_, token),) = await told(stream, 1)
    second = await service.ask("B")

    ((missed, _),) = await told(feed.follow("", token), 1)

    assert missed.id == second.id


async def test_a_change_during_the_beginning_is_not_lost(service: Service, feed: Feed) -> None:
    asked = [await service.ask(title) for title in ("A", "B")]
    stream = feed.follow("", "")
    await told(stream, 1)
    await move(service, asked[0])

    messages = await told(stream, 2)

    assert {(acquisition.id, acquisition.state) for acquisition, _ in messages} >= {(asked[0].id, State.SEARCHING)}


async def test_progress_is_told_though_it_is_no_change(service: Service, feed: Feed) -> None:
    now = CLOCK.now()
    asked = await service.ask()
    trying = asked.moved(State.SEARCHING, now).moved(State.DOWNLOADING, now).tried(Source.SOULSEEK, "ada", now)
    await service.end(await service.claim(), Move(acquisition=trying))
    claim = await service.claim()
    stream = feed.follow("", "")
    seen = [await told(stream, 1)]

    for received in (3, 6):
        await service.store.progress(claim, 1, Progress(received_bytes=received))
        service.bell.ring()
        while (attempt := seen[-1][0][0].attempt) is None or attempt.progress.received_bytes != received:
            seen.append(await told(stream, 1))

    assert len(seen) <= 4


@pytest.mark.parametrize(
    "token",
    [
        *("x", "bnVsbA", "WzEsIDJd", "Wy0xLCBudWxsXQ", "ü"),
        *("WzAsICJhXHUwMDAwIl0", "WzAsICJcdWQ4MDAiXQ"),  # with a NUL, and with half a character
    ],
)
def test_a_token_that_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgument):
        Position.from_token(token)


async def test_every_change_of_many_at_once_arrives(service: Service, feed: Feed) -> None:
    stream = feed.follow("", "")
    seen: set[str] = set()

    asked = asyncio.gather(*[service.ask(f"Title {number}") for number in range(30)])
    async with asyncio.timeout(20):
        while len(seen) < 30:
            ((acquisition, _),) = await told(stream, 1)
            seen.add(acquisition.id)

    assert {acquisition.id for acquisition in await asked} == seen
