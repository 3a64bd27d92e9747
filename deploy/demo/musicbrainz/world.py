"""A small MusicBrainz of pretence: look-up, search and browsing as the real one answers, and its rules for callers."""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.demo.http_faults import Endpoint, Faults
from deploy.demo.loopback_http import HOST, serving
from deploy.demo.musicbrainz import bodies
from deploy.demo.musicbrainz.catalogue import Group, Release, pages
from libs.clock import Clock, SystemClock

TRACKS_A_PAGE = 500

_AGENT = re.compile(r"\S+/\S+ \( .*(@|://|\.).* \)")
_QUERY = re.compile(r'releasegroup:"(?P<title>(?:[^"\\]|\\.)*)" AND artist:"(?P<artist>(?:[^"\\]|\\.)*)"')
_PUNCTUATION = re.compile(r"[^\w]+")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that came in, and when, in seconds on a clock that never steps."""

    path: str
    params: dict[str, str]
    headers: dict[str, str]
    at: float


class MusicBrainzWorld:
    """A MusicBrainz for as long as the context lasts; `tracks_a_page` is what makes a page of releases full."""

    def __init__(self, *groups: Group, tracks_a_page: int = TRACKS_A_PAGE, clock: Clock | None = None) -> None:
        self.groups = list(groups)
        self.faults = Faults()
        self.calls: list[Call] = []
        self._tracks_a_page = tracks_a_page
        self._clock = clock or SystemClock()
        self._listening = AsyncExitStack()
        self._port = 0

    @property
    def url(self) -> str:
        """The address, as MUSICBRAINZ_URL wants it."""
        return f"http://{HOST}:{self._port}"

    async def __aenter__(self) -> Self:
        """Listen on a free port of loopback."""
        self._port = await self._listening.enter_async_context(serving(self._app()))
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Stop answering."""
        await self._listening.aclose()

    def _app(self) -> Starlette:
        endpoints = {
            "/ws/2/release-group": self._search,
            "/ws/2/release-group/{mbid}": self._group,
            "/ws/2/release": self._browse,
            "/ws/2/release/{mbid}": self._release,
        }
        return Starlette(
            routes=[Route(path, self._guarded(self.faults.spoiling(end))) for path, end in endpoints.items()]
        )

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        """Counts the call, and refuses whoever does not say how to be reached."""

        async def answer(request: Request) -> Response:
            headers = dict(request.headers)
            params = dict(request.query_params)
            self.calls.append(Call(path=request.url.path, params=params, headers=headers, at=self._clock.monotonic()))
            if not _AGENT.fullmatch(headers.get("user-agent", "")):
                return JSONResponse(bodies.error("Your application does not identify itself."), 403)
            if params.get("fmt") != "json":
                return Response("<metadata/>", media_type="application/xml")
            return await endpoint(request)

        return answer

    async def _group(self, request: Request) -> Response:
        wanted = request.path_params["mbid"]
        if not _UUID.fullmatch(wanted):
            return JSONResponse(bodies.error("Invalid mbid."), 400)
        for group in self.groups:
            if group.mbid == wanted:
                return JSONResponse(bodies.group(group))
        return JSONResponse(bodies.error("Not Found"), 404)

    async def _release(self, request: Request) -> Response:
        for group in self.groups:
            for release in group.releases:
                if release.mbid == request.path_params["mbid"]:
                    return JSONResponse(bodies.release(release, group, with_group=True))
        return JSONResponse(bodies.error("Not Found"), 404)

    async def _browse(self, request: Request) -> Response:
        group = next((one for one in self.groups if one.mbid == request.query_params["release-group"]), None)
        if group is None:
            return JSONResponse(bodies.error("Not Found"), 404)
        releases = tuple(_with_status(group, request.query_params.get("status")))
        offset, limit = int(request.query_params.get("offset", "0")), int(request.query_params.get("limit", "25"))
        page = next(pages(releases[offset:], most=min(limit, 100), most_tracks=self._tracks_a_page), ())
        listed = [bodies.release(release, group) for release in page]
        return JSONResponse({"release-count": len(releases), "release-offset": offset, "releases": listed})

    async def _search(self, request: Request) -> Response:
        query = _QUERY.fullmatch(request.query_params["query"])
        if query is None:
            return JSONResponse(bodies.error("Unparseable query"), 400)
        title, artist = _plain(query["title"]), _plain(query["artist"])
        found = [group for group in self.groups if artist in _plain(group.artist) and title in _plain(group.title)]
        found.sort(key=lambda group: len(group.title))
        limit = int(request.query_params.get("limit", "25"))
        scored = [(group, _score(group, title, artist)) for group in islice(found, limit)]
        matches = [bodies.match(group, score) for group, score in scored]
        return JSONResponse({"count": len(found), "offset": 0, "release-groups": matches})


def _with_status(group: Group, status: str | None) -> Iterator[Release]:
    for release in group.releases:
        if status is None or (release.status or "").lower() == status:
            yield release


def _score(group: Group, title: str, artist: str) -> int:
    surplus = len(_plain(group.title)) - len(title) + len(_plain(group.artist)) - len(artist)
    return max(40, 100 - 3 * surplus)


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.casefold())
    return _PUNCTUATION.sub(" ", "".join(char for char in letters if not unicodedata.combining(char))).strip()
