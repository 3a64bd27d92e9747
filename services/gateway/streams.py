"""Streams to pages and scripts: server-sent events where asked for, else one JSON text a line.

An error before the first message is a real status; later it is the stream's last event or line. A quiet stream begins
after a moment all the same, so that the client knows that it stands.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from google.protobuf.message import Message
from starlette.datastructures import Headers
from starlette.types import Receive, Send

from libs.errors import AppError, Unavailable
from libs.transcoding import jsontext
from libs.transcoding.openapi import EVENTS, NDJSON
from services.gateway.bodies import CallerLeft, leaving
from services.gateway.problems import problem

FIRST_WAIT = 0.5  # seconds for the first message before the response begins without it
HEARTBEAT = 15.0  # seconds between signs of life

_TOKEN = "resume_token"  # noqa: S105 - a field by convention: where a stream stands, in messages and in the request

Print = Callable[[Message], object]


class Format(Protocol):
    """How messages become bytes."""

    media_type: str

    def message(self, value: object, token: str) -> bytes:
        """One message; `token` is where the stream stands behind it, or empty."""
        ...

    def heartbeat(self) -> bytes:
        """A sign of life; empty where the format has none."""
        ...

    def end(self) -> bytes:
        """The end, when all is said."""
        ...

    def interrupted(self) -> bytes:
        """The end, when the client should come back and go on."""
        ...

    def error(self, body: Mapping[str, Any]) -> bytes:
        """The end, when the service failed."""
        ...


class Events:
    """Server-sent events (WHATWG HTML). `error` is the browser's own word, so ours are `rpc-error` and `end`."""

    media_type = EVENTS

    def message(self, value: object, token: str) -> bytes:
        """`id:` lets the browser resume by `Last-Event-ID`."""
        head = f"id: {token}\n".encode() if token and token.isprintable() else b""
        return head + b"data: " + jsontext.dumps(value) + b"\n\n"

    def heartbeat(self) -> bytes:
        """A comment."""
        return b": still here\n\n"

    def end(self) -> bytes:
        """Tells pages to close instead of reconnecting."""
        return b"event: end\ndata: {}\n\n"

    def interrupted(self) -> bytes:
        """Nothing: the browser reconnects by itself."""
        return b""

    def error(self, body: Mapping[str, Any]) -> bytes:
        """The problem as data."""
        return b"event: rpc-error\ndata: " + jsontext.dumps(body) + b"\n\n"


class Lines:
    """One JSON text a line (NDJSON)."""

    media_type = NDJSON

    def message(self, value: object, token: str) -> bytes:
        """One line; the token is in the message itself."""
        return jsontext.dumps(value) + b"\n"

    def heartbeat(self) -> bytes:
        """An empty line, which readers of lines skip."""
        return b"\n"

    def end(self) -> bytes:
        """Nothing: the body ends."""
        return b""

    def interrupted(self) -> bytes:
        """Says that there would be more."""
        return self.error(problem(Unavailable("the gateway is stopping: come back and resume")))

    def error(self, body: Mapping[str, Any]) -> bytes:
        """The last line."""
        return jsontext.dumps({"error": body}) + b"\n"


def resume(request: Any, headers: Headers) -> None:
    """Put `Last-Event-ID` into the request's resume token, where it has an empty one."""
    last = headers.get("last-event-id")
    field = request.DESCRIPTOR.fields_by_name.get(_TOKEN)
    if last and field is not None and not request.resume_token:
        request.resume_token = last


@dataclass(frozen=True, slots=True)
class Streams:
    """Serves streams until their service, their client or `drain` ends them."""

    drain: asyncio.Event
    heartbeat: float = HEARTBEAT
    first_wait: float = FIRST_WAIT

    async def serve(
        self, answers: AsyncGenerator[Message], show: Print, headers: Headers, *, receive: Receive, send: Send
    ) -> None:
        """Send a stream. Raises the service's error when it comes before all else, and CallerLeft."""
        form = Events() if EVENTS in headers.get("accept", "") else Lines()
        draining = asyncio.create_task(self.drain.wait())
        async with leaving(receive) as left:
            source = _Source(answers, left=left, draining=draining)
            try:
                await source.wait(self.first_wait)
                source.raise_first_error()
                await send(_start(form))
                await self._relay(source, form, show, send)
            finally:
                draining.cancel()
                await source.aclose()

    async def _relay(self, source: "_Source", form: Format, show: Print, send: Send) -> None:
        while (last := source.last(form)) is None:
            answer = source.take()
            piece = form.heartbeat() if answer is None else form.message(show(answer), getattr(answer, _TOKEN, ""))
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await source.wait(self.heartbeat)
        await send({"type": "http.response.body", "body": last})


class _Source:
    """The answers of a call, one ahead, so that leaving, draining and silence are noticed while waiting for one."""

    def __init__(
        self, answers: AsyncGenerator[Message], *, left: asyncio.Task[None], draining: asyncio.Task[Any]
    ) -> None:
        self._answers = answers
        self._left = left
        self._draining = draining
        self._next = self._fetch()

    async def wait(self, timeout: float) -> None:
        """Return when there is something to do, or after so many seconds. Raises CallerLeft."""
        ends = (self._next, self._left, self._draining)
        await asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if self._left.done():
            raise CallerLeft

    def raise_first_error(self) -> None:
        """Raise what the service answered instead of a first message."""
        if self._next.done():
            self._next.result()

    def take(self) -> Message | None:
        """The next message; None when it is not there yet."""
        if not self._next.done():
            return None
        answer = self._next.result()
        self._next = self._fetch()
        return answer

    def last(self, form: Format) -> bytes | None:
        """The stream's last piece; None while it goes on."""
        if self._draining.done():
            return form.interrupted()
        if not self._next.done():
            return None
        try:
            return form.end() if self._next.result() is None else None
        except AppError as error:
            return form.error(problem(error))

    async def aclose(self) -> None:
        """Cancel the call."""
        self._next.cancel()
        with suppress(asyncio.CancelledError, AppError):
            await self._next
        await self._answers.aclose()

    def _fetch(self) -> "asyncio.Task[Message | None]":
        return asyncio.create_task(_next(self._answers))


async def _next(answers: AsyncGenerator[Message]) -> Message | None:
    return await anext(answers, None)


def _start(form: Format) -> dict[str, Any]:
    headers = {"content-type": form.media_type, "cache-control": "no-store", "x-accel-buffering": "no"}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": 200, "headers": raw}
