"""The pretended slskd's searches: answers are stored once, at the end, and a moment after `isComplete`."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy.demo.slskd.peers import SlskdPeer
from deploy.demo.slskd.timing import Timing, stamp
from libs.clock import Clock

Json = dict[str, Any]

_LEAST_TIMEOUT = 5  # milliseconds


@dataclass(slots=True, kw_only=True)
class Search:
    """A search; without `ended` its answers are not there yet."""

    id: str
    text: str
    quiet: float  # seconds after the last answer; all of them come at once here
    state: str
    started: datetime
    ended: datetime | None = None
    complete: bool = False
    responses: list[Json] = field(default_factory=list)

    def row(self) -> Json:
        """As slskd tells it."""
        return {
            "id": self.id,
            "searchText": self.text,
            "token": 1,
            "state": self.state,
            "isComplete": self.complete,
            "startedAt": stamp(self.started),
            "endedAt": stamp(self.ended),
            "responseCount": len(self.responses),
            "fileCount": sum(response["fileCount"] for response in self.responses),
            "lockedFileCount": sum(response["lockedFileCount"] for response in self.responses),
            "responses": [],
        }


class Searches:
    """All searches that were not deleted; `sent` keeps every text that went out to the network."""

    def __init__(self, peers: Mapping[str, SlskdPeer], *, timing: Timing, clock: Clock) -> None:
        self.rows: dict[str, Search] = {}
        self.sent: list[str] = []
        self.is_logged_in = True
        self.post_seconds = 0.0
        self._used: set[str] = set()
        self._posting = 0
        self._running: dict[str, asyncio.Task[None]] = {}
        self._peers = peers
        self._timing = timing
        self._clock = clock

    def routes(self) -> list[Route]:
        """Its part of the API."""
        return [
            Route("/searches", self._post, methods=["POST"]),
            Route("/searches/{id}", self._get, methods=["GET"]),
            Route("/searches/{id}", self._stop, methods=["PUT"]),
            Route("/searches/{id}", self._delete, methods=["DELETE"]),
            Route("/searches/{id}/responses", self._responses, methods=["GET"]),
        ]

    async def cut_off(self) -> None:
        """End what runs, as a restart of slskd does: nothing was found."""
        await self.close()
        for search in self.rows.values():
            if search.ended is None:
                search.state, search.complete, search.ended = "Completed, TimedOut", True, self._clock.now()

    async def close(self) -> None:
        """Stop what runs."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        self._running.clear()

    async def _post(self, request: Request) -> Response:
        if self._posting:
            return PlainTextResponse("Only one concurrent operation is permitted. Wait until it completes.", 429)
        self._posting += 1
        try:
            await asyncio.sleep(self.post_seconds)
            return self._posted(await request.json())
        finally:
            self._posting -= 1

    def _posted(self, body: Json) -> Response:
        text, search_id = str(body.get("searchText") or "").strip(), str(body.get("id") or uuid.uuid4())
        quiet = int(body.get("searchTimeout") or 15_000)
        if not text or quiet < _LEAST_TIMEOUT:
            return PlainTextResponse("SearchText may not be null or empty", 400)
        if search_id in self._used:
            return PlainTextResponse("UNIQUE constraint failed: Searches.Id", 500)
        self._used.add(search_id)
        search = Search(id=search_id, text=text, quiet=quiet / 1000, state="Requested", started=self._clock.now())
        self.rows[search_id] = search
        if not self.is_logged_in:
            search.state, search.complete, search.ended = "Completed, Errored", True, self._clock.now()
            return PlainTextResponse("The server connection must be connected and logged in", 409)
        self.sent.append(text)
        self._running[search_id] = asyncio.create_task(self._run(search))
        return JSONResponse(search.row())

    async def _run(self, search: Search) -> None:
        search.state = "InProgress"
        await asyncio.sleep(search.quiet)
        await self._finish(search, "Completed, TimedOut")

    async def _finish(self, search: Search, state: str) -> None:
        search.state, search.complete = state, True
        await asyncio.sleep(self._timing.storing)
        terms = frozenset(search.text.lower().split())
        responses = [_response(peer, peer.found(terms)) for peer in self._peers.values() if peer.online]
        search.responses = [response for response in responses if response["fileCount"] or response["lockedFileCount"]]
        search.ended = self._clock.now()

    async def _get(self, request: Request) -> Response:
        search = self.rows.get(request.path_params["id"])
        return Response(status_code=404) if search is None else JSONResponse(search.row())

    async def _stop(self, request: Request) -> Response:
        search = self.rows.get(request.path_params["id"])
        if search is None:
            return Response(status_code=404)
        if not search.complete:
            self._running.pop(search.id).cancel()
            self._running[search.id] = asyncio.create_task(self._finish(search, "Completed, Cancelled"))
        return Response(status_code=200)

    async def _delete(self, request: Request) -> Response:
        search = self.rows.pop(request.path_params["id"], None)
        return Response(status_code=404 if search is None else 204)

    async def _responses(self, request: Request) -> Response:
        search = self.rows.get(request.path_params["id"])
        return Response(status_code=404) if search is None else JSONResponse(search.responses)


def _response(peer: SlskdPeer, paths: list[str]) -> Json:
    locked = [_file(peer, path) for path in paths if path in peer.locked]
    files = [_file(peer, path) for path in paths if path not in peer.locked]
    return {
        "username": peer.username,
        "hasFreeUploadSlot": peer.free_slot,
        "queueLength": peer.queue_length,
        "uploadSpeed": peer.upload_speed,
        "token": 1,
        "fileCount": len(files),
        "lockedFileCount": len(locked),
        "files": files,
        "lockedFiles": locked,
    }


def _file(peer: SlskdPeer, path: str) -> Json:
    return {
        "filename": path,
        "size": len(peer.files[path]),
        "extension": path.rpartition(".")[2],
        "code": 1,
        "isLocked": path in peer.locked,
        "bitDepth": 16,
        "sampleRate": 44_100,
    }
