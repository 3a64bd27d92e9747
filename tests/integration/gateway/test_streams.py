"""Streams over HTTP: events and lines, resumed, ended, cancelled."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as pb

from libs.errors import InvalidArgument, Unavailable
from services.gateway.settings import Settings
from tests.integration.gateway.conftest import KEY, Suite
from tests.support.ports import free_ports
from tests.support.ticking import ticking
from tests.support.waiting import eventually

URL = "/api/v1/acquisitions:watch"
EVENTS = {"accept": "text/event-stream"}


def change(name: str, token: str = "") -> pb.WatchAcquisitionsResponse:
    return pb.WatchAcquisitionsResponse(acquisition=pb.Acquisition(name=name), resume_token=token)


async def next_line(lines: AsyncIterator[str]) -> str:
    async with asyncio.timeout(5):
        while not (line := await anext(lines)):
            pass
        return line


async def test_events_carry_where_the_stream_stands(suite: Suite, client: httpx.AsyncClient) -> None:
    for item in (change("acquisitions/a", "t1"), change("acquisitions/b", "t2"), None):
        suite.acquisitions.changes.put_nowait(item)

    response = await client.get(URL, headers=EVENTS)

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-accel-buffering"] == "no"
    first, second, end = response.text.strip().split("\n\n")
    assert first.startswith("id: t1\ndata: {")
    assert json.loads(second.removeprefix("id: t2\ndata: "))["acquisition"]["name"] == "acquisitions/b"
    assert end == "event: end\ndata: {}"


async def test_lines_carry_one_message_each(suite: Suite, client: httpx.AsyncClient) -> None:
    for item in (change("acquisitions/a"), change("acquisitions/b"), None):
        suite.acquisitions.changes.put_nowait(item)

    response = await client.get(URL)

    assert response.headers["content-type"] == "application/x-ndjson"
    names = [json.loads(line)["acquisition"]["name"] for line in response.text.splitlines()]
    assert names == ["acquisitions/a", "acquisitions/b"]


async def test_messages_arrive_while_the_stream_goes_on(suite: Suite, client: httpx.AsyncClient) -> None:
    suite.acquisitions.changes.put_nowait(change("acquisitions/a"))
    async with client.stream("GET", URL) as response:
        lines = response.aiter_lines()
        assert json.loads(await next_line(lines))["acquisition"]["name"] == "acquisitions/a"

        suite.acquisitions.changes.put_nowait(change("acquisitions/b"))

        assert json.loads(await next_line(lines))["acquisition"]["name"] == "acquisitions/b"


@pytest.mark.parametrize(("query", "token"), [("", "t9"), ("?resumeToken=t1", "t1")])
async def test_a_browser_resumes_by_its_last_event_id(
    suite: Suite, client: httpx.AsyncClient, query: str, token: str
) -> None:
    suite.acquisitions.changes.put_nowait(None)

    await client.get(f"{URL}{query}", headers={**EVENTS, "last-event-id": "t9"})

    assert suite.acquisitions.requests[0].resume_token == token


async def test_an_error_before_the_first_message_is_a_status(suite: Suite, client: httpx.AsyncClient) -> None:
    suite.acquisitions.changes.put_nowait(InvalidArgument.field("filter", "is no filter"))

    response = await client.get(URL, headers=EVENTS)

    assert response.status_code == 400
    assert response.json()["violations"] == [
        {"field": "filter", "description": "is no filter", "reason": "INVALID_ARGUMENT"}
    ]


async def test_an_error_later_is_the_last_event(suite: Suite, client: httpx.AsyncClient) -> None:
    suite.acquisitions.changes.put_nowait(change("acquisitions/a"))
    suite.acquisitions.changes.put_nowait(Unavailable("gone", reason="GONE"))

    response = await client.get(URL, headers=EVENTS)

    event, data = response.text.strip().split("\n\n")[-1].split("\n")
    assert event == "event: rpc-error"
    assert json.loads(data.removeprefix("data: "))["reason"] == "GONE"


async def test_an_error_later_is_the_last_line(suite: Suite, client: httpx.AsyncClient) -> None:
    suite.acquisitions.changes.put_nowait(change("acquisitions/a"))
    suite.acquisitions.changes.put_nowait(Unavailable("gone", reason="GONE"))

    response = await client.get(URL)

    assert json.loads(response.text.splitlines()[-1])["error"]["reason"] == "GONE"


async def test_a_client_that_leaves_cancels_the_call(suite: Suite, client: httpx.AsyncClient) -> None:
    suite.acquisitions.changes.put_nowait(change("acquisitions/a"))
    async with client.stream("GET", URL) as response:
        await next_line(response.aiter_lines())

    await asyncio.wait_for(suite.acquisitions.cancelled.wait(), 5)


async def test_streams_end_first_when_the_gateway_stops(suite: Suite, client: httpx.AsyncClient) -> None:
    suite.acquisitions.changes.put_nowait(change("acquisitions/a"))
    async with client.stream("GET", URL) as response:
        lines = response.aiter_lines()
        await next_line(lines)

        suite.stop.set()

        last: dict[str, Any] = json.loads(await next_line(lines))
        assert last["error"]["code"] == "UNAVAILABLE"


async def test_who_accepts_neither_events_nor_lines_is_told_what_there_is(client: httpx.AsyncClient) -> None:
    response = await client.get(URL, headers={"accept": "application/json"})

    assert response.status_code == 406
    assert response.json()["reason"] == "NOT_ACCEPTABLE"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/x-ndjson"),
        ("text/event-stream, */*", "text/event-stream"),
        ("text/event-stream;q=0.1, application/x-ndjson", "application/x-ndjson"),
        ("application/*", "application/x-ndjson"),
        ("text/*", "text/event-stream"),
    ],
)
async def test_streams_have_the_format_that_is_preferred(
    suite: Suite, client: httpx.AsyncClient, accept: str, media_type: str
) -> None:
    suite.acquisitions.changes.put_nowait(None)

    response = await client.get(URL, headers={"accept": accept})

    assert response.headers["content-type"] == media_type


async def test_streams_are_never_compressed(suite: Suite, client: httpx.AsyncClient) -> None:
    suite.acquisitions.changes.put_nowait(change("acquisitions/" + 2000 * "a"))
    suite.acquisitions.changes.put_nowait(None)

    response = await client.get(URL, headers={"accept-encoding": "gzip, zstd, br"})

    assert "content-encoding" not in response.headers


async def test_two_watchers_of_the_same_share_one_call(suite: Suite, client: httpx.AsyncClient) -> None:
    async with client.stream("GET", URL) as first, client.stream("GET", URL) as second:
        suite.acquisitions.changes.put_nowait(change("acquisitions/a"))
        told = [json.loads(await next_line(each.aiter_lines())) for each in (first, second)]

    assert told[0] == told[1]
    assert len(suite.acquisitions.requests) == 1


class Watcher:
    """One connection, and the numbers of the changes that it was told."""

    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.numbers: list[int] = []
        self.following = asyncio.create_task(self._follow(client, headers))

    async def _follow(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        async with client.stream("GET", URL, headers=headers) as response:
            async for line in response.aiter_lines():
                self.numbers += [int(number) for number in re.findall(r'"resumeToken":"(\d+)"', line)]


@asynccontextmanager
async def _before_a_process(settings: Settings) -> AsyncIterator[Suite]:
    """A gateway before services of this process, but for that of acquisitions, which is to be started."""
    running = Suite(settings)
    async with running.services():
        running.settings = replace(settings, acquisition=f"127.0.0.1:{free_ports(1)[0]}")
        async with running.gateway():
            yield running


async def _answers(client: httpx.AsyncClient) -> None:
    """Return once the service of acquisitions is reached; this one knows none."""

    async def reached() -> bool:
        return (await client.get("/api/v1/acquisitions/a")).status_code != 503

    await eventually(reached)


async def _all_have_seen(watchers: list[Watcher], number: int) -> None:
    async def seen() -> bool:
        assert not any(watcher.following.done() for watcher in watchers)
        return all(watcher.numbers and watcher.numbers[-1] >= number for watcher in watchers)

    await eventually(seen, within=30)


async def test_nobody_misses_a_change_or_hears_one_twice_when_the_service_is_killed(settings: Settings) -> None:
    async with _before_a_process(settings) as suite:
        listen = suite.settings.acquisition
        async with ticking(listen, KEY) as service:
            await _answers(suite.client)
            watchers = [Watcher(suite.client, headers) for headers in (EVENTS, EVENTS, {}, {})]
            await _all_have_seen(watchers, 1)
            service.kill()
        killed_at = max(watcher.numbers[-1] for watcher in watchers)
        async with ticking(listen, KEY):
            await _all_have_seen(watchers, killed_at + 10)
            for watcher in watchers:
                watcher.following.cancel()
            await asyncio.wait([watcher.following for watcher in watchers])

    for watcher in watchers:
        assert watcher.numbers == list(range(watcher.numbers[0], watcher.numbers[-1] + 1))
