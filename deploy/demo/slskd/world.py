"""The stateful fake slskd as one thing: an address, a key, a folder, its peers and everything a test can turn."""

import asyncio
import hmac
import secrets
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from email.utils import format_datetime
from pathlib import Path
from typing import Self

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.demo.loopback_http import HOST, serving
from deploy.demo.slskd.download_routes import DownloadRoutes
from deploy.demo.slskd.downloads import Downloads, Transfer
from deploy.demo.slskd.events import SAMPLES, Events
from deploy.demo.slskd.peers import SlskdPeer
from deploy.demo.slskd.searches import Searches
from deploy.demo.slskd.timing import Timing
from libs.clock import Clock, SystemClock

VERSION = "0.26.0"
_MOST = 100  # rows a page
_UNRAISABLE = ("None", "Any")
_NOWHERE = Path("/nonexistent")  # for those who download nothing


@dataclass(slots=True, kw_only=True)
class Fault:
    """An answer that replaces the real one, for requests whose path starts so, this many times."""

    method: str
    path: str
    status: int
    times: int


class SlskdWorld:
    """A slskd for as long as the context lasts.

    `folder` is where its downloads end, `peers` whom it finds on the network. `faults` are statuses that answer the
    next requests instead, `version` what it says of itself; the parts have levers of their own.
    """

    def __init__(
        self,
        folder: Path = _NOWHERE,
        peers: Iterable[SlskdPeer] = (),
        *,
        timing: Timing | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.api_key = secrets.token_hex(16)
        self.clock = clock or SystemClock()
        self.timing = timing or Timing()
        self.version = VERSION
        self.peers = {peer.username: peer for peer in peers}
        self.events = Events(self.clock)
        self.searches = Searches(self.peers, timing=self.timing, clock=self.clock)
        self.downloads = Downloads(folder, self.peers, self.events, timing=self.timing, clock=self.clock)
        self.enqueueing = DownloadRoutes(self.downloads, self.peers, timing=self.timing, clock=self.clock)
        self.requests: list[str] = []
        self.faults: list[int] = []
        self._faults: list[Fault] = []
        self._port = 0
        self._listening = AsyncExitStack()
        self._coming_back: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The address, as SLSKD_URL wants it."""
        return f"http://{HOST}:{self._port}"

    def join(self, peer: SlskdPeer) -> SlskdPeer:
        """Let one more peer come online."""
        self.peers[peer.username] = peer
        return peer

    def fail(self, method: str, path: str, status: int, *, times: int = 1) -> None:
        """Answer the next requests whose path below `/api/v0` starts so with this status."""
        self._faults.append(Fault(method=method, path=f"/api/v0{path}", status=status, times=times))

    def log_out(self) -> None:
        """Lose the connection to the Soulseek server."""
        self.searches.is_logged_in = False

    def log_in(self) -> None:
        """Get it back."""
        self.searches.is_logged_in = True

    async def restart(self) -> None:
        """Stop and start: what was open has failed, and is asked for again after the login, as something new."""
        await self.go_down()
        self.log_out()
        await self.searches.cut_off()
        cut = await self.downloads.shut_down()
        await self.come_back()
        self._coming_back = asyncio.create_task(self._resume(cut))

    async def go_down(self) -> None:
        """Refuse connections; what runs inside goes on."""
        await self._listening.aclose()

    async def come_back(self) -> None:
        """Listen again, on the same port as before."""
        self._port = await self._listening.enter_async_context(serving(self._app(), port=self._port, dates=False))

    def fault(self, request: Request) -> int | None:
        """The status that a fault wants for this request, once for each of its times."""
        if self.faults:
            return self.faults.pop(0)
        for fault in self._faults:
            if fault.times > 0 and fault.method == request.method and request.url.path.startswith(fault.path):
                fault.times -= 1
                return fault.status
        return None

    async def __aenter__(self) -> Self:
        """Listen on a free port of loopback."""
        await self.come_back()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Stop answering, then everything that runs inside."""
        await self.go_down()
        if self._coming_back is not None:
            self._coming_back.cancel()
            await asyncio.gather(self._coming_back, return_exceptions=True)
        await self.searches.close()
        await self.downloads.close()
        await self.events.close()

    async def _resume(self, cut: list[Transfer]) -> None:
        await asyncio.sleep(self.timing.login)
        self.log_in()
        await asyncio.sleep(self.timing.retry)
        for transfer in cut:
            self.downloads.begin(self.peers[transfer.username], transfer.filename, transfer.size)

    def _app(self) -> Starlette:
        own = [
            Route("/application", self._application),
            Route("/events", self._list),
            Route("/events/{kind}", self._raise, methods=["POST"]),
        ]
        api = [*own, *self.searches.routes(), *self.enqueueing.routes()]
        return Starlette(
            routes=[Route("/health", self._health), Mount("/api/v0", routes=api)],
            middleware=[Middleware(_Gate, world=self)],
        )

    async def _health(self, _request: Request) -> Response:
        return PlainTextResponse("Healthy")

    async def _application(self, _request: Request) -> Response:
        here = self.searches.is_logged_in
        state = "Connected, LoggedIn" if here else "Disconnected"
        server = {"isConnected": here, "isLoggedIn": here, "isTransitioning": False, "state": state}
        return JSONResponse({"version": {"current": self.version}, "server": server})

    async def _list(self, request: Request) -> Response:
        offset, limit = (
            int(request.query_params.get(name, default)) for name, default in (("offset", 0), ("limit", 100))
        )
        if offset < 0 or not 0 < limit <= _MOST:
            return PlainTextResponse("offset or limit is out of range", 400)
        count = {"X-Total-Count": str(len(self.events.rows))}
        return JSONResponse(self.events.page(offset, limit), headers=count)

    async def _raise(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind in _UNRAISABLE or kind not in SAMPLES:
            return PlainTextResponse(f"{kind} cannot be raised", 400)
        event = await self.events.raise_event(kind, {"message": (await request.body()).decode()})
        return JSONResponse(event.row(), 201)


class _Gate:
    """Asks for the key, as slskd does: its refusals have no body worth reading. Answers bear this slskd's own time."""

    def __init__(self, app: ASGIApp, *, world: SlskdWorld) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        refusal = None if request.url.path == "/health" else self._refusal(request)
        await (refusal or self._app)(scope, receive, self._dated(send))

    def _refusal(self, request: Request) -> Response | None:
        self._world.requests.append(f"{request.method} {request.url.path}")
        offered = request.headers.get("x-api-key", "")
        if not hmac.compare_digest(offered.encode(), self._world.api_key.encode()):
            return Response(status_code=401)
        status = self._world.fault(request)
        return PlainTextResponse("An invented fault", status) if status else None

    def _dated(self, send: Send) -> Send:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Date"] = format_datetime(self._world.clock.now(), usegmt=True)
            await send(message)

        return dated
