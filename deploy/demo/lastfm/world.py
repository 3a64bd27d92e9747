"""A small Last.fm of pretence: artist.getCorrection, its key in the query, and its errors with status 200."""

import hmac
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.demo.http_faults import Faults
from deploy.demo.loopback_http import HOST, serving

_INVALID_METHOD, _INVALID_PARAMETERS, _INVALID_KEY = 3, 6, 10


class LastfmWorld:
    """A Last.fm for as long as the context lasts; `corrections` are the names of artists by how others spell them.

    `error` is a code of Last.fm that answers everything, with status 200, while it is set.
    """

    def __init__(self, corrections: Mapping[str, str]) -> None:
        self.api_key = secrets.token_hex(16)
        self.corrections = {name.casefold(): artist for name, artist in corrections.items()}
        self.faults = Faults()
        self.error: int | None = None
        self.asked: list[str] = []
        self._listening = AsyncExitStack()
        self._port = 0

    @property
    def url(self) -> str:
        """The address, as LASTFM_URL wants it."""
        return f"http://{HOST}:{self._port}/2.0/"

    async def __aenter__(self) -> Self:
        """Listen on a free port of loopback."""
        app = Starlette(routes=[Route("/2.0/", self.faults.spoiling(self._answer))])
        self._port = await self._listening.enter_async_context(serving(app))
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Stop answering."""
        await self._listening.aclose()

    async def _answer(self, request: Request) -> Response:
        params = request.query_params
        self.asked.append(params.get("artist", ""))
        if not hmac.compare_digest(params.get("api_key", "").encode(), self.api_key.encode()):
            return _error(_INVALID_KEY, "Invalid API key - You must be granted a valid key by last.fm", status=403)
        if self.error is not None:
            return _error(self.error, "Operation failed - Something else went wrong")
        if params.get("method", "").lower() != "artist.getcorrection":
            return _error(_INVALID_METHOD, "Invalid Method - No method with that name in this package")
        if not params.get("artist"):
            return _error(_INVALID_PARAMETERS, "Invalid parameters - Your request is missing a required parameter")
        name = self.corrections.get(params["artist"].casefold())
        if name is None:
            return JSONResponse({"corrections": "\n                "})
        artist = {"name": name, "mbid": "", "url": "https://www.last.fm/music/invented"}
        return JSONResponse({"corrections": {"correction": {"artist": artist, "@attr": {"index": "0"}}}})


def _error(code: int, message: str, *, status: int = 200) -> Response:
    return JSONResponse({"error": code, "message": message}, status)
