"""Answers whose bytes and media type come from the service: google.api.HttpBody, whole or in pieces.

A stream has the media type of its first piece. It cannot say in its own form that it broke: then the connection ends
before the body does, which every client notices.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Any

from google.protobuf.message import Message
from starlette.types import Receive, Send

from libs.errors import AppError
from libs.telemetry.logger import get_logger
from libs.transcoding.routes import Binding
from services.gateway.http.bodies import CallerLeft, leaving

log = get_logger()

_UNKNOWN_TYPE = "application/octet-stream"

Unwrap = Callable[[Any], Any]


def unwrapper(binding: Binding) -> Unwrap | None:
    """What finds the HttpBody in an answer; None when the binding answers JSON."""
    if not binding.answers_raw_body:
        return None
    name = binding.response_body
    return (lambda answer: getattr(answer, name)) if name else (lambda answer: answer)


def media_type(body: Any) -> bytes:
    """The media type of an HttpBody, as a header. What no header can hold is an unknown type."""
    named: str = body.content_type
    return (named if named and named.isascii() and named.isprintable() else _UNKNOWN_TYPE).encode()


async def serve_pieces(answers: AsyncGenerator[Message], unwrap: Unwrap, *, receive: Receive, send: Send) -> None:
    """Send a stream of HttpBody. Raises CallerLeft, and the service's error when it comes before all else."""
    async with leaving(receive) as left, aclosing(answers):
        piece = await _next(answers, left)
        kind = _UNKNOWN_TYPE.encode() if piece is None else media_type(unwrap(piece))
        headers = [(b"content-type", kind), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            while piece is not None:
                await send({"type": "http.response.body", "body": unwrap(piece).data, "more_body": True})
                piece = await _next(answers, left)
        except AppError as error:
            log.info("raw.broken", reason=error.code_reason)
            return
        await send({"type": "http.response.body", "body": b""})


async def _next(answers: AsyncGenerator[Message], left: "asyncio.Task[None]") -> Message | None:
    following = asyncio.ensure_future(anext(answers, None))
    try:
        await asyncio.wait((following, left), return_when=asyncio.FIRST_COMPLETED)
        if left.done():
            raise CallerLeft
        return following.result()
    finally:
        if not following.done():
            following.cancel()
            with suppress(asyncio.CancelledError, AppError):
                await following  # the generator cannot be closed while it runs
