"""Streams to pages and scripts: to each watcher what a stream of its own would tell, whoever else watches the same.

An error before the first message is a real status; later it is the stream's last event or line. A quiet stream begins
after a moment all the same, so that the client knows that it stands.
"""

import asyncio
from typing import Any

from google.protobuf.message import Message
from starlette.datastructures import Headers
from starlette.types import Scope, Send

from libs.errors import AppError
from services.gateway.http.bodies import DEPARTURE, CallerLeft, Departure
from services.gateway.http.problems import problem
from services.gateway.watching.broadcast import ReaderTooSlow, Watch
from services.gateway.watching.fanout import Fanout, Reader
from services.gateway.watching.formats import Format, format_for
from services.gateway.watching.upstream import CURSOR, PATIENCE, Metadata, Source

FIRST_WAIT = 0.5  # seconds for the first message before the response begins without it
HEARTBEAT = 15.0  # seconds between signs of life


class Streams:
    """Serves streams until their service, their client or `drain` ends them.

    A service that goes away has `patience` seconds to come back, where its messages say where the stream stands.
    """

    def __init__(
        self,
        drain: asyncio.Event,
        *,
        heartbeat: float = HEARTBEAT,
        first_wait: float = FIRST_WAIT,
        patience: float = PATIENCE,
    ) -> None:
        self._drain = drain
        self._first_wait = first_wait
        self._fanout = Fanout(drain, heartbeat=heartbeat, patience=patience)

    async def serve(
        self, source: Source, request: Message, metadata: Metadata, headers: Headers, *, scope: Scope, send: Send
    ) -> None:
        """Send a stream. Raises NotAcceptable, CallerLeft, and the service's error when it comes before all else."""
        form = format_for(headers.get("accept", ""))
        _resume(request, headers)
        departure: Departure = scope[DEPARTURE]
        async with self._fanout.reading(Watch.of(source, form, request, metadata)) as reader:
            departure.when_over = reader.wake
            try:
                await self._begin(reader, departure)
                await send(_start(form))
                last = await self._relay(reader, departure, send)
                await send({"type": "http.response.body", "body": last})
            finally:
                departure.when_over = None

    async def _begin(self, reader: Reader, departure: Departure) -> None:
        """Wait for something to tell, for a moment."""
        timer = asyncio.get_running_loop().call_later(self._first_wait, reader.beat)
        while not (reader.has_news or reader.is_silent or self._drain.is_set() or departure.is_over):
            await reader.wait()
        timer.cancel()
        if departure.is_over:
            raise CallerLeft
        if reader.is_at_end and reader.broadcast.error is not None:
            raise reader.broadcast.error
        reader.begin()

    async def _relay(self, reader: Reader, departure: Departure, send: Send) -> bytes:
        """Send the pieces of a stream but the last one, which is returned."""
        form = reader.watch.form
        while not self._drain.is_set():
            try:
                piece = await self._fanout.take(reader)
            except ReaderTooSlow as error:
                return form.error(problem(error))
            if piece is None and reader.is_at_end:
                return _last(form, reader.broadcast.error)
            if piece is None and reader.is_silent:
                piece = form.heartbeat()
            if piece is None:
                await reader.wait()
            else:
                reader.is_silent = False
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            if departure.is_over:
                raise CallerLeft
        return form.interrupted()


def _resume(request: Any, headers: Headers) -> None:
    """Put `Last-Event-ID` into the request's resume token, where it has an empty one."""
    last = headers.get("last-event-id")
    if last and CURSOR in request.DESCRIPTOR.fields_by_name and not request.resume_token:
        request.resume_token = last


def _last(form: Format, error: BaseException | None) -> bytes:
    """The last piece of a stream that ended by itself. Raises what is no answer of a service."""
    if error is None:
        return form.end()
    if isinstance(error, AppError):
        return form.error(problem(error))
    raise error


def _start(form: Format) -> dict[str, Any]:
    headers = {"content-type": form.media_type, "cache-control": "no-store", "x-accel-buffering": "no"}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": 200, "headers": raw}
