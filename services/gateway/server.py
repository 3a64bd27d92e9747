"""uvicorn inside our own event loop: it takes no signals, tells clearly when its port is taken, and bounds heads."""

import asyncio
import socket
from asyncio import TimerHandle, Transport
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from libs.addresses import AddressTaken
from libs.errors import InvalidArgument, ResourceExhausted
from libs.telemetry import correlation
from libs.telemetry.logger import get_logger
from services.gateway.bodies import DEPARTURE, Departure
from services.gateway.edge import MAX_HEADERS, request_ids
from services.gateway.problems import HeadersTooLarge, respond
from services.gateway.security import hardening

log = get_logger()

GRACE = 10  # seconds that requests in flight have at the end
HEAD_TIMEOUT = 15.0  # seconds for a request's head to arrive

_MAX_HEAD = 2 * MAX_HEADERS  # bytes of a head that is not complete
_BACKLOG = 1024


class MalformedRequest(InvalidArgument):
    """What arrived is not HTTP."""

    reason = "MALFORMED_HTTP"


class HttpServer:
    """Serves an application on `host:port`; port 0 takes a free one. `drain` is set first when the end comes."""

    def __init__(self, app: ASGIApp, *, host: str, port: int, drain: asyncio.Event) -> None:
        self._drain = drain
        self._socket = _bind(host, port)
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE,
        )
        self._server = _QuietServer(config)

    @property
    def address(self) -> str:
        """Where it listens, with the port that it got."""
        host, port = self._socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def serve(self, stop: asyncio.Event) -> None:
        """Serves until `stop` is set: streams end first, then requests in flight have their grace."""
        log.info("server.started", address=self.address)
        address = self.address
        serving = asyncio.create_task(self._server.serve([self._socket]))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:  # also when it is cancelled, because another service of the same process failed
            stopping.cancel()
            self._drain.set()
            self._server.should_exit = True
            await serving
        log.info("server.stopped", address=address)


class _QuietServer(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override] # wider than a generator's
        return nullcontext()


class _Protocol(HttpToolsProtocol):
    """uvicorn's, with a limit and a time for heads: httptools itself collects without end."""

    _head_bytes = 0
    _head_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(transport)
        self._departure = Departure()
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)
        self._departure.tell()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_timer is not None and self.transport is not None and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD:
                self._refuse(HeadersTooLarge(f"the headers are larger than {MAX_HEADERS} bytes"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[DEPARTURE] = self._departure  # type: ignore[literal-required] # ASGI lets servers add
        self._await_head()

    def on_headers_complete(self) -> None:
        self._head_arrived()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(MalformedRequest(msg))

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT, self.transport.close)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, error: InvalidArgument | ResourceExhausted) -> None:
        request_id = correlation.new_request_id()
        correlation.request_id.set(request_id)
        response = respond(error)
        response.headers["connection"] = "close"
        status = HTTPStatus(response.status_code)
        sent = response.raw_headers
        lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
        lines += [b"%s: %s" % header for header in (*sent, *request_ids(request_id), *hardening("http", sent))]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self.transport.close()


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise AddressTaken(f"{host}:{port}", advice="set LOCKGROOVE_HOST and LOCKGROOVE_PORT") from error
    listener.setblocking(False)
    return listener
