"""A small slskd of pretence: its key, its state, its log of events, and its webhooks."""

import hmac
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from email.utils import format_datetime
from typing import Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy.demo.loopback_http import HOST, serving
from deploy.demo.slskd.events import SAMPLES, Events
from libs.clock import Clock, SystemClock

VERSION = "0.26.0"
_MOST = 100  # rows a page
_UNRAISABLE = ("None", "Any")

Endpoint = Callable[[Request], Awaitable[Response]]


class SlskdWorld:
    """A slskd for as long as the context lasts. `faults` are statuses that answer the next requests instead."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.api_key = secrets.token_hex(16)
        self.clock = clock or SystemClock()
        self.events = Events(self.clock)
        self.requests: list[str] = []
        self.faults: list[int] = []
        self._port = 0
        self._listening = AsyncExitStack()

    @property
    def url(self) -> str:
        """The address, as SLSKD_URL wants it."""
        return f"http://{HOST}:{self._port}"

    async def go_down(self) -> None:
        """Refuse connections."""
        await self._listening.aclose()

    async def come_back(self) -> None:
        """Listen again, on the same port as before."""
        self._port = await self._listening.enter_async_context(serving(self._app(), port=self._port, dates=False))

    async def __aenter__(self) -> Self:
        """Listen on a free port of loopback."""
        await self.come_back()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Stop answering."""
        await self.go_down()
        await self.events.close()

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/api/v0/application", self._guarded(self._application)),
                Route("/api/v0/events", self._guarded(self._list)),
                Route("/api/v0/events/{kind}", self._guarded(self._raise), methods=["POST"]),
            ]
        )

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        """Asks for the key, as slskd does: its refusals have no body worth reading."""

        async def answer(request: Request) -> Response:
            self.requests.append(f"{request.method} {request.url.path}")
            offered = request.headers.get("x-api-key", "")
            if not hmac.compare_digest(offered.encode(), self.api_key.encode()):
                response: Response = Response(status_code=401)
            elif self.faults:
                response = PlainTextResponse("An invented fault", self.faults.pop(0))
            else:
                response = await endpoint(request)
            response.headers["Date"] = format_datetime(self.clock.now(), usegmt=True)
            return response

        return answer

    async def _health(self, _request: Request) -> Response:
        return PlainTextResponse("Healthy")

    async def _application(self, _request: Request) -> Response:
        server = {"isConnected": True, "isLoggedIn": True, "isTransitioning": False, "state": "Connected, LoggedIn"}
        return JSONResponse({"version": {"current": VERSION}, "server": server})

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
