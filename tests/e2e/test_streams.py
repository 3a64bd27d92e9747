"""Server-sent events of the running suite: who comes back with `Last-Event-ID` has missed nothing."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.support.outages import away
from tests.support.suite import Suite, running_suite, suite_environment
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

_URL = "/api/v1/acquisitions:watch"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite without a world: whatever is asked for fails at once, which is a change like any other."""
    async with running_suite(suite_environment(tmp_path_factory.mktemp("home"), {})) as suite:
        yield suite


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One server-sent event."""

    kind: str
    id: str
    data: Any


@dataclass
class Browser:
    """What an EventSource does: remembers the last id, and comes back with it when the stream breaks."""

    suite: Suite
    last_id: str = ""
    states: dict[str, str] = field(default_factory=dict)
    kinds: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    connections: int = 0

    async def follow(self) -> None:
        """Follow until cancelled, through whatever ends the stream."""
        while True:
            try:
                async with aclosing(self.once()) as events:
                    async for _ in events:
                        pass
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)

    async def once(self) -> AsyncGenerator[Sent]:
        """One connection, to its end."""
        self.connections += 1
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": self.last_id} if self.last_id else {})}
        async with self.suite.client.stream("GET", _URL, headers=headers) as answer:
            if answer.status_code != 200:
                return
            async for sent in _events(answer):
                self._note(sent)
                yield sent

    async def sees(self, name: str) -> None:
        """Return once this acquisition was seen to have failed."""

        async def seen() -> bool:
            return self.states.get(name) == "FAILED"

        await eventually(seen)

    def _note(self, sent: Sent) -> None:
        self.last_id = sent.id or self.last_id
        self.kinds.append(sent.kind)
        if sent.kind == "message":
            self.told.append(json.dumps(sent.data))
            self.states[sent.data["acquisition"]["name"]] = sent.data["acquisition"]["state"]


async def _events(answer: httpx.Response) -> AsyncIterator[Sent]:
    lines: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(":")
            lines[name] = value.removeprefix(" ")
        elif "data" in lines:
            yield Sent(kind=lines.get("event", "message"), id=lines.get("id", ""), data=json.loads(lines["data"]))
            lines = {}


async def _failed(suite: Suite, title: str) -> str:
    """The name of an acquisition that was asked for and has failed."""
    name: str = (await suite.request(album={"artist": "Someone", "title": title}, source="LIDARR"))["name"]
    assert (await suite.ended(name))["state"] == "FAILED"
    return name


async def test_a_client_that_comes_back_gets_what_happened_meanwhile_and_nothing_twice(suite: Suite) -> None:
    before = await _failed(suite, "Before")
    browser = Browser(suite)
    async with aclosing(browser.once()) as events:
        async for _ in events:
            if browser.last_id and before in browser.states:
                break

    names = [await _failed(suite, title) for title in ("First", "Second")]
    browser.states.clear()
    async with aclosing(browser.once()) as events:
        async for _ in events:
            if [browser.states.get(name) for name in names] == ["FAILED"] * 2:
                break

    assert browser.states.keys() == set(names)


async def test_who_watches_hears_nothing_of_a_restart_of_the_service(suite: Suite) -> None:
    async with _following(suite) as browser:
        await browser.sees(await _failed(suite, "Ahead of the restart"))

        async with away(suite, "acquisition"):
            assert await suite.acquisition("acquisitions/acq-1") is None
        await _answering(suite)

        await browser.sees(await _failed(suite, "Behind the restart"))

    assert browser.connections == 1
    assert set(browser.kinds) == {"message"}
    assert len(set(browser.told)) == len(browser.told)


async def test_a_restart_of_the_gateway_costs_a_client_nothing(suite: Suite) -> None:
    async with _following(suite) as browser:
        await browser.sees(await _failed(suite, "Ahead"))

        await suite.kill("gateway")
        await _answering(suite)

        await browser.sees(await _failed(suite, "Behind"))


async def test_a_token_that_was_never_sent_is_refused(suite: Suite) -> None:
    answer = await suite.client.get(_URL, headers={"Accept": "text/event-stream", "Last-Event-ID": "yesterday"})

    assert answer.status_code == 400
    assert [violation["field"] for violation in answer.json()["violations"]] == ["resumeToken"]


@asynccontextmanager
async def _following(suite: Suite) -> AsyncIterator[Browser]:
    browser = Browser(suite)
    task = asyncio.create_task(browser.follow())
    try:
        yield browser
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _answering(suite: Suite) -> None:
    """Return once acquisitions can be read again."""

    async def answers() -> bool:
        with suppress(httpx.HTTPError):
            return (await suite.client.get("/api/v1/acquisitions")).status_code == 200
        return False

    await eventually(answers)
