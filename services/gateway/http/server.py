"""uvicorn inside our own event loop: it takes no signals, and tells clearly when its port is taken."""

import asyncio
import resource
import socket
from contextlib import AbstractContextManager, nullcontext

import uvicorn
from starlette.types import ASGIApp

from libs.addresses import AddressTaken
from libs.telemetry.logger import get_logger
from services.gateway.http.protocol import MAX_CONNECTIONS, Protocol

log = get_logger()

GRACE = 10  # seconds that requests in flight have at the end

_BACKLOG = 1024
_OTHER_FILES = 1024


class HttpServer:
    """Serves an application on `host:port`; port 0 takes a free one. `drain` is set first when the end comes."""

    def __init__(self, app: ASGIApp, *, host: str, port: int, drain: asyncio.Event) -> None:
        _allow_files(MAX_CONNECTIONS + _OTHER_FILES)
        self._drain = drain
        self._socket = _bind(host, port)
        config = uvicorn.Config(
            app,
            http=Protocol,
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

    def close(self) -> None:
        """Gives the port back, also where nobody ever served."""
        self._socket.close()

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


def _allow_files(count: int) -> None:
    """Each connection is a file; of those this process may have as many as the system lets it ask for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count and soft != resource.RLIM_INFINITY:
        allowed = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


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
