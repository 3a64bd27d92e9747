"""The pretended Lidarr's HTTP side: the key is asked for everywhere but at `/ping`."""

import hmac
from email.utils import format_datetime

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.demo.lidarr.activity_routes import ActivityRoutes
from deploy.demo.lidarr.music_routes import MusicRoutes
from deploy.demo.lidarr.state import Lidarr
from deploy.demo.lidarr.system_routes import SystemRoutes


def build_app(lidarr: Lidarr) -> Starlette:
    """The application that answers for this Lidarr."""
    parts = (MusicRoutes(lidarr), ActivityRoutes(lidarr), SystemRoutes(lidarr))
    api = [route for part in parts for route in part.routes()]
    return Starlette(
        routes=[Route("/ping", _ping), Mount("/api/v1", routes=api)],
        middleware=[Middleware(_Gate, lidarr=lidarr)],
    )


async def _ping(_request: Request) -> Response:
    return JSONResponse({"status": "OK"})


class _Gate:
    """Counts requests, lets only those with the key pass, and answers with the fault that a test asked for.

    Answers bear the time of this Lidarr's own clock.
    """

    def __init__(self, app: ASGIApp, *, lidarr: Lidarr) -> None:
        self._app = app
        self._lidarr = lidarr

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        self._lidarr.counts.requests.append((request.method, request.url.path))
        await (self._refusal(request) or self._app)(scope, receive, self._dated(send))

    def _dated(self, send: Send) -> Send:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Date"] = format_datetime(self._lidarr.clock.now(), usegmt=True)
            await send(message)

        return dated

    def _refusal(self, request: Request) -> Response | None:
        if request.url.path != "/ping" and not hmac.compare_digest(
            _key_of(request).encode(), self._lidarr.api_key.encode()
        ):
            return Response(status_code=401)
        if status := self._lidarr.fault(request.method, request.url.path):
            return JSONResponse({"message": "An invented fault", "description": "System.Exception"}, status)
        return None


def _key_of(request: Request) -> str:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    return request.query_params.get("apikey") or request.headers.get("x-api-key") or bearer
