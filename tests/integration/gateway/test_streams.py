"""Streams over HTTP: events and lines, resumed, ended, cancelled."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as pb

from libs.errors import InvalidArgument, Unavailable
from tests.integration.gateway.conftest import Suite

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
