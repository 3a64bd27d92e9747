"""One connection of HTTP/1.1: uvicorn's own, with an end to everything that a client could make last or grow.

What is bounded: the time and the size of a head and how many lines it has, what surrounds a body, requests that are
sent ahead, answers that nobody reads, idle connections, and their number.
"""

import re
from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from libs.errors import AppError, InvalidArgument, Unavailable
from libs.telemetry import correlation
from services.gateway.http.bodies import DEPARTURE, LIMIT, Departure
from services.gateway.http.edge import MAX_HEADERS, request_ids
from services.gateway.http.heads import MalformedRequest, check_head
from services.gateway.http.problems import HeadersTooLarge, TargetTooLong, respond
from services.gateway.http.security import hardening

HEAD_TIMEOUT = 15.0  # seconds for a request's head to arrive
READ_TIMEOUT = 30.0  # seconds in which a client has to read some of an answer
HALF_CLOSED = 1.0  # seconds in which one who has ended its side, and may have left, is answered still
MAX_CONNECTIONS = 4096
MAX_TARGET = 65535  # bytes
MAX_LINES = 128  # of headers, and of trailers
MAX_AHEAD = 128  # requests of a connection that wait for the one before them

_MAX_HEAD = 2 * MAX_HEADERS  # bytes of a head that is not complete
_MAX_REQUEST = 24 * LIMIT  # bytes of a request, with what surrounds its body
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class TooManyConnections(Unavailable):
    """No further connection can be served."""

    reason = "TOO_MANY_CONNECTIONS"


class Protocol(HttpToolsProtocol):
    """uvicorn's, bounded."""

    _in_head = False
    _head_bytes = 0
    _request_bytes = 0
    _head_timer: TimerHandle | None = None
    _read_timer: TimerHandle | None = None
    _fault: AppError | None = None
    _lines = 0
    _running: RequestResponseCycle | None = None  # what is answered now: `cycle` is what came last
    _is_ending = False  # nothing more is read, and the connection ends with the last answer
    _last_words = b""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """A client is here."""
        super().connection_made(transport)
        self._departure = Departure()
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(TooManyConnections("all connections are taken: come back in a moment"))
        else:
            self._in_head = True
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._head_arrived()
        self.resume_writing()
        super().connection_lost(exc)
        if self._running is not None:
            _abandon(self._running)
        self._departure.tell()

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio lets it answer
        """The client has ended its side: within a request it is told so (RFC 9112, 8), else it may have left, or not.

        Whether the connection stays, for what is still to be answered.
        """
        if self._head_bytes or not self._is_complete():
            self._refuse(MalformedRequest("the connection ended before the request did"))
        if self.transport.is_closing() or not self._is_busy():
            return False
        self._is_ending = True
        self.loop.call_later(HALF_CLOSED, self.transport.close)
        return True

    def data_received(self, data: bytes) -> None:
        """Some bytes came."""
        if self._is_ending:
            return
        self._request_bytes += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        if self.transport is None or self.transport.is_closing():
            return
        if self._in_head:
            self._await_head()  # only here: most heads come in one piece, and a timer costs more than reading it
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD:
                self._refuse(_too_large())
        elif self.timeout_keep_alive_task is None and (self.cycle is None or self.cycle.response_complete):
            self._in_head = self._departure.arrived  # no beginning of a request, or what is left of a refused one
            self._await_head()
        elif self._request_bytes > _MAX_REQUEST and not self._is_complete():
            self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins."""
        if len(self.pipeline) >= MAX_AHEAD:
            raise self._failed(InvalidArgument("too many requests are sent ahead on one connection"))
        super().on_message_begin()
        self._request_bytes = self._lines = 0
        self._departure.arrived = False
        self._in_head = True
        self.scope[DEPARTURE] = self._departure  # type: ignore[literal-required] # ASGI lets servers add

    def on_url(self, url: bytes) -> None:
        """A piece of a target."""
        super().on_url(url)
        if len(self.url) > MAX_TARGET:
            raise self._failed(TargetTooLong(f"the target is longer than {MAX_TARGET} bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of a head, or of trailers: these say nothing that a head would have to (RFC 9110, 6.5.1)."""
        if self._in_head:
            super().on_header(name, value)
        self._lines += 1
        if self._lines > MAX_LINES:
            raise self._failed(HeadersTooLarge(f"there are more than {MAX_LINES} headers"))

    def on_headers_complete(self) -> None:
        """A head is here."""
        version = self.parser.get_http_version()
        try:
            check_head(version, self.parser.get_method(), self.url, self.headers)
        except AppError as error:
            raise self._failed(error) from error
        if self.parser.should_upgrade():
            return  # it is read again, without that
        self.expect_100_continue = self.expect_100_continue and version != "1.0"
        self._head_arrived()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is here."""
        if not self.parser.should_upgrade():
            self._departure.arrived = True
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is sent."""
        if self._is_ending and not self.pipeline:
            self._hang_up()
        else:
            super().on_response_complete()

    def pause_writing(self) -> None:
        """The client reads more slowly than it is answered."""
        super().pause_writing()
        self._await_reading(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None
        super().resume_writing()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.__class__ = _Cycle  # uvicorn makes its own, and has no other place where that could be changed
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _parse(self, data: bytes) -> None:
        """Feed the parser. It would take no body of a request that asks for an upgrade, and read it as a request."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except HttpParserCallbackError:
                self._refuse(self._fault or MalformedRequest("the target of the request is no path"))
                return
            except HttpParserError as error:
                self._refuse(MalformedRequest(f"this is not HTTP/1.1: {error}"))
                return
            except HttpParserUpgrade as upgrade:
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
                self.parser = HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it

    def _head_without_upgrade(self) -> bytes:
        """The head that has just come, as one that does not ask for what is not offered (RFC 9110, 7.8)."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        kept = [b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        return b"".join([b"%s %s HTTP/%s\r\n" % (method, self.url, version), *kept, b"\r\n"])

    def _is_busy(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def _is_complete(self) -> bool:
        return self.cycle is None or not self.cycle.more_body or self.cycle.response_started

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT, self.transport.close)

    def _head_arrived(self) -> None:
        self._in_head, self._head_bytes = False, 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _await_reading(self, left: int) -> None:
        self._read_timer = self.loop.call_later(READ_TIMEOUT, self._look_at_reading, left)

    def _look_at_reading(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._await_reading(left)
        else:
            self.transport.abort()

    def _failed(self, error: AppError) -> AppError:
        """The error to raise from a callback of the parser, which stops there."""
        self._fault = error
        return error

    def _refuse(self, error: AppError) -> None:
        """Tell what is wrong with the request that came last, behind the answers to those before it."""
        self._head_arrived()
        if self._is_ending or self.transport.is_closing():
            return
        if self._is_answering():
            self.transport.close()
            return
        self._is_ending, self._last_words = True, _answer(error)
        broken = None if self._is_complete() else self.cycle
        if broken is not None and self.pipeline:
            self.pipeline.popleft()
        elif broken is not None:
            _abandon(broken)
        if broken is self._running or not self._is_busy():
            self._hang_up()

    def _is_answering(self) -> bool:
        return self._running is not None and self._running.response_started and self._is_busy()

    def _hang_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self._last_words)
            self.transport.close()


class _Cycle(RequestResponseCycle):
    """uvicorn's, which sends an answer that is whole in one piece."""

    _head: Any = None

    async def send(self, message: Any) -> None:
        """A head waits for its body where its length is told; streams tell none."""
        head, self._head = self._head, None
        if message["type"] == "http.response.start" and self._is_plain(message["headers"]):
            self._head = message
            return
        if head is not None and message["type"] == "http.response.body":
            if not (message.get("more_body") or self.flow.write_paused or self.disconnected):
                self._send_whole(head["status"], head["headers"], message.get("body", b""))
                return
            await super().send(head)
        await super().send(message)

    def _is_plain(self, headers: list[tuple[bytes, bytes]]) -> bool:
        names = [name for name, _ in headers]
        return not self.response_started and b"content-length" in names and b"connection" not in names

    def _send_whole(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        lines = [STATUS_LINE[status]]
        for name, value in headers:
            if _CONTROL.search(value):
                raise RuntimeError("a header holds what no header can")
            lines.append(b"%s: %s\r\n" % (name, value))
        is_head = self.scope["method"] == "HEAD"
        if not is_head and int(dict(headers)[b"content-length"]) != len(body):
            raise RuntimeError("the body is not as long as its content-length says")
        ending = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(b"".join([*lines, ending, b"" if is_head else body]))
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _abandon(cycle: RequestResponseCycle) -> None:
    """Nobody is there to be answered."""
    cycle.disconnected = True
    cycle.message_event.set()


def _too_large() -> HeadersTooLarge:
    return HeadersTooLarge(f"the headers are larger than {MAX_HEADERS} bytes")


def _answer(error: AppError) -> bytes:
    """A problem for a client whose request never got as far as the application."""
    request_id = correlation.new_request_id()
    correlation.request_id.set(request_id)
    response = respond(error)
    response.headers["connection"] = "close"
    status = HTTPStatus(response.status_code)
    sent = response.raw_headers
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
    lines += [b"%s: %s" % header for header in (*sent, *request_ids(request_id), *hardening("http", sent))]
    return b"\r\n".join([*lines, b"", bytes(response.body)])
