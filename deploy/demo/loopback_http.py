"""HTTP servers on loopback inside this process, for pretended services and for receivers of webhooks."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

HOST = "127.0.0.1"
_GOODBYE_SECONDS = 1  # for requests that are under way at the end


@asynccontextmanager
async def serving(app: ASGIApp, *, port: int = 0, dates: bool = True) -> AsyncIterator[int]:
    """Serve the application for as long as the context lasts; yields the port, a free one unless it was given.

    `dates` says whether the server dates its answers; else the application does.
    """
    listener = socket.create_server((HOST, port))
    config = uvicorn.Config(
        app,
        log_config=None,
        lifespan="off",
        ws="none",
        date_header=dates,
        timeout_graceful_shutdown=_GOODBYE_SECONDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve([listener]))
    try:
        await server.ready.wait()
        yield listener.getsockname()[1]
    finally:
        server.stopping.set()
        await task
        listener.close()


class _Server(uvicorn.Server):
    """Uvicorn that leaves the signals of the process alone and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self.stopping.wait()
