"""One request can be followed by its id and its trace, through the gateway, the services and the work that it began."""

import json
from typing import Any

import pytest

from tests.support.suite import Suite
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

TRACE_ID = "ab" * 16


def told(suite: Suite, event: str) -> list[dict[str, Any]]:
    """What the services logged of an event; each line stands behind its service's name."""
    texts = [line.partition("| ")[2] for line in suite.lines]
    lines = [json.loads(text) for text in texts if text.startswith("{")]
    return [line for line in lines if line.get("event") == event]


async def test_every_step_of_an_acquisition_is_logged_under_the_request_that_made_it(suite: Suite) -> None:
    headers = {"X-Request-Id": "req-from-a-person", "traceparent": f"00-{TRACE_ID}-{'cd' * 8}-01"}
    album = {"artist": "Nobody", "title": "Nothing"}
    answer = await suite.client.post("/api/v1/acquisitions", json={"album": album}, headers=headers)
    acquisition = answer.json()["name"].removeprefix("acquisitions/")

    async def searched() -> list[dict[str, Any]]:
        return [line for line in told(suite, "acquisition.moved") if line["job"] == acquisition]

    moves = await eventually(searched)

    assert answer.headers["X-Request-Id"] == "req-from-a-person"
    assert {(move["request_id"], move["trace_id"]) for move in moves} == {("req-from-a-person", TRACE_ID)}
