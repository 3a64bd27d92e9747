"""What is answered at the edge when a layer before the routes ends otherwise than with an answer."""

from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.errors import ResourceExhausted
from libs.telemetry import Telemetry
from services.gateway.http.bodies import CallerLeft
from services.gateway.http.edge import ADDED, Edge

START: Message = {"type": "http.response.start", "status": 200, "headers": []}


async def sent_by(app: ASGIApp) -> list[Any]:
    """What leaves, when the layers below do this."""
    messages: list[Any] = []

    async def send(message: Message) -> None:
        messages.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "scheme": "http", "headers": []}
    await Edge(app, Telemetry("gateway"))(scope, None, send)  # type: ignore[arg-type] # nothing is received
    return messages


async def test_a_refusal_of_a_layer_is_a_problem_with_what_layers_add() -> None:
    async def limits(scope: Scope, receive: Receive, send: Send) -> None:
        scope[ADDED] = [(b"ratelimit-remaining", b"0")]
        raise ResourceExhausted("too many requests")

    start, body = await sent_by(limits)

    assert start["status"] == 429
    assert {(b"ratelimit-remaining", b"0"), (b"x-frame-options", b"DENY")} <= set(start["headers"])
    assert b'"reason":"RESOURCE_EXHAUSTED"' in body["body"]


async def test_a_defect_of_a_layer_is_a_problem_that_tells_nothing() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a secret text")

    start, body = await sent_by(broken)

    assert start["status"] == 500
    assert b"secret" not in body["body"]


@pytest.mark.parametrize("error", [RuntimeError("late"), CallerLeft(), ResourceExhausted("late")])
async def test_what_has_begun_is_not_answered_twice(error: Exception) -> None:
    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        raise error

    assert [message["type"] for message in await sent_by(late)] == ["http.response.start"]


async def test_nobody_is_answered_who_has_left() -> None:
    async def left(scope: Scope, receive: Receive, send: Send) -> None:
        raise CallerLeft

    assert await sent_by(left) == []
