"""Watching: events as they are, then every change, and on from where a stream was cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from lockgroove.webhooks.v1 import webhooks_pb2 as pb

from libs.errors import InvalidArgument
from tests.integration.webhooks.conftest import Webhooks
from tests.support.lidarr_webhooks import BODIES, album, download, grab


class Stream:
    """One stream of changes, read one by one."""

    def __init__(self, responses: AsyncIterator[pb.WatchEventsResponse]) -> None:
        self._responses = responses
        self.token = ""

    async def next(self) -> tuple[str, str]:
        """Id and state of the next message."""
        response = await anext(self._responses)
        self.token = response.resume_token
        return response.event.name.removeprefix("events/"), pb.Event.State.Name(response.event.state)

    async def until(self, event_id: str, state: str) -> None:
        """Read until the event is in this state."""
        while await self.next() != (event_id, state):
            pass


@asynccontextmanager
async def watching(webhooks: Webhooks, *, query: str = "", token: str = "") -> AsyncIterator[Stream]:
    async with asyncio.timeout(20):
        call = webhooks.people.WatchEvents(pb.WatchEventsRequest(filter=query, resume_token=token))
        try:
            yield Stream(aiter(call))
        finally:
            call.cancel()


async def test_a_stream_starts_with_the_events_as_they_are(webhooks: Webhooks) -> None:
    ids = [await webhooks.deliver(download(album=album(number))) for number in (1, 2)]
    for event_id in ids:
        await webhooks.reaches(event_id, pb.Event.DONE)

    async with watching(webhooks) as stream:
        assert [await stream.next(), await stream.next()] == [(event_id, "DONE") for event_id in ids]


async def test_a_stream_goes_on_with_every_change(webhooks: Webhooks) -> None:
    first = await webhooks.deliver(grab())
    await webhooks.reaches(first, pb.Event.DONE)

    async with watching(webhooks) as stream:
        assert await stream.next() == (first, "DONE")
        second = await webhooks.deliver(download())
        await stream.until(second, "DONE")


async def test_a_duplicate_is_a_change(webhooks: Webhooks) -> None:
    event_id = await webhooks.deliver(grab())
    await webhooks.reaches(event_id, pb.Event.DONE)

    async with watching(webhooks) as stream:
        assert await stream.next() == (event_id, "DONE")
        await webhooks.deliver(grab())
        assert await stream.next() == (event_id, "DONE")


async def test_a_stream_that_was_cut_goes_on_behind_its_token(webhooks: Webhooks) -> None:
    first = await webhooks.deliver(grab())
    await webhooks.reaches(first, pb.Event.DONE)
    async with watching(webhooks) as stream:
        await stream.until(first, "DONE")
    second = await webhooks.deliver(download())
    await webhooks.reaches(second, pb.Event.DONE)

    async with watching(webhooks, token=stream.token) as resumed:
        seen = {(await resumed.next())[0]}

    assert seen == {second}


async def test_a_stream_shows_only_what_matches(webhooks: Webhooks) -> None:
    await webhooks.reaches(await webhooks.deliver(grab()), pb.Event.DONE)

    async with watching(webhooks, query='type = "Test"') as stream:
        await webhooks.deliver(download())
        event_id = await webhooks.deliver(BODIES["Test"])
        assert (await stream.next())[0] == event_id


@pytest.mark.parametrize("token", ["-1", "abc", "9" * 30, "１"])
async def test_a_token_that_was_never_sent_is_refused(webhooks: Webhooks, token: str) -> None:
    with pytest.raises(InvalidArgument):
        async with watching(webhooks, token=token) as stream:
            await stream.next()
