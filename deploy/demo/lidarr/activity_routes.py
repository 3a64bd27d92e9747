"""The API of commands, the queue and the history."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.demo.lidarr.answers import RefusedError, answering, flag, internal_error, not_found, object_of
from deploy.demo.lidarr.commands import UnknownCommandError
from deploy.demo.lidarr.downloads import blocklist_row
from deploy.demo.lidarr.history import HistoryRow
from deploy.demo.lidarr.resources import Json
from deploy.demo.lidarr.state import Lidarr

_EPOCH = datetime.fromtimestamp(0, UTC)


class ActivityRoutes:
    """Routes over what a pretended Lidarr does and did."""

    def __init__(self, lidarr: Lidarr) -> None:
        self._lidarr = lidarr

    def routes(self) -> list[Route]:
        """The routes, below `/api/v1`."""
        return [
            Route("/command", answering(self._commands)),
            Route("/command", answering(self._submit), methods=["POST"]),
            Route("/command/{id:int}", answering(self._command)),
            Route("/queue", answering(self._queue)),
            Route("/queue/details", answering(self._queue_details)),
            Route("/queue/status", answering(self._queue_status)),
            Route("/queue/{id:int}", answering(self._remove), methods=["DELETE"]),
            Route("/blocklist", answering(self._blocklist)),
            Route("/manualimport", answering(self._manual_imports)),
            Route("/history", answering(self._history)),
            Route("/history/since", answering(self._history_since)),
        ]

    async def _commands(self, _request: Request) -> Response:
        now = self._lidarr.clock.now()
        return JSONResponse([row.resource(now) for row in self._lidarr.commands.rows.values()])

    async def _command(self, request: Request) -> Response:
        row = self._lidarr.commands.find(request.path_params["id"])
        if row is None:
            raise not_found("Command")
        return JSONResponse(row.resource(self._lidarr.clock.now()))

    async def _submit(self, request: Request) -> Response:
        body = await object_of(request)
        name = str(body.pop("name", ""))
        try:
            row = self._lidarr.commands.submit(name, body)
        except UnknownCommandError as error:
            raise internal_error(f"Unknown command: {error}") from error
        location = {"Location": f"/api/v1/command/{row.id}"}
        return JSONResponse(row.resource(self._lidarr.clock.now()), 201, headers=location)

    async def _queue(self, request: Request) -> Response:
        return JSONResponse(_page(request, self._lidarr.downloads.queue(), key="timeleft"))

    async def _queue_details(self, request: Request) -> Response:
        query = request.query_params
        rows = self._lidarr.downloads.queue()
        if "artistId" in query:
            rows = [row for row in rows if str(row["artistId"]) == query["artistId"]]
        if wanted := query.getlist("albumIds"):
            rows = [row for row in rows if str(row["albumId"]) in wanted]
        return JSONResponse(rows)

    async def _queue_status(self, _request: Request) -> Response:
        rows = self._lidarr.downloads.queue()
        warned = any(row["trackedDownloadStatus"] == "warning" for row in rows)
        told = {"id": 0, "totalCount": len(rows), "count": len(rows), "unknownCount": 0, "errors": False}
        return JSONResponse(told | {"warnings": warned, "unknownErrors": False, "unknownWarnings": False})

    async def _remove(self, request: Request) -> Response:
        download = self._lidarr.downloads.find(request.path_params["id"])
        if download is None:
            raise not_found("Queue item")
        await self._lidarr.downloads.remove(
            download,
            from_client=flag(request, "removeFromClient", default=True),
            blocklist=flag(request, "blocklist", default=False),
            skip_redownload=flag(request, "skipRedownload", default=False),
        )
        return JSONResponse({})

    async def _blocklist(self, request: Request) -> Response:
        rows = [blocklist_row(number, row) for number, row in enumerate(self._lidarr.downloads.blocklist, start=1)]
        return JSONResponse(_page(request, rows, key="date"))

    async def _manual_imports(self, request: Request) -> Response:
        folder = Path(request.query_params.get("folder", ""))
        return JSONResponse(await asyncio.to_thread(self._lidarr.manual_imports.candidates, folder))

    async def _history(self, request: Request) -> Response:
        wanted = frozenset(int(kind) for kind in request.query_params.getlist("eventType"))
        rows = self._visible(self._lidarr.history.since(_EPOCH, wanted))
        if album_id := request.query_params.get("albumId"):
            rows = [row for row in rows if str(row["albumId"]) == album_id]
        if download_id := request.query_params.get("downloadId"):
            rows = [row for row in rows if row.get("downloadId") == download_id]
        return JSONResponse(_page(request, rows, key="date"))

    async def _history_since(self, request: Request) -> Response:
        kind = request.query_params.get("eventType")
        try:
            date = datetime.fromisoformat(request.query_params["date"])
        except (KeyError, ValueError) as error:
            raise RefusedError(
                400, {"title": "One or more validation errors occurred.", "errors": {"date": [""]}}
            ) from error
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        wanted = frozenset([int(kind)]) if kind else frozenset()
        return JSONResponse(self._visible(self._lidarr.history.since(aware, wanted)))

    def _visible(self, rows: Iterable[HistoryRow]) -> list[Json]:
        return [row.resource() for row in rows if row.album_id in self._lidarr.library.albums]


def _page(request: Request, rows: list[Json], *, key: str) -> Json:
    """A page; without a direction the newest come first, and a page beyond the end shows the last rows again."""
    query = request.query_params
    number, size = max(1, int(query.get("page", 1))), max(1, int(query.get("pageSize", 10)))
    ordered = rows if query.get("sortDirection") == "ascending" else rows[::-1]
    start = min((number - 1) * size, max(0, len(rows) - size))
    return {
        "page": number,
        "pageSize": size,
        "sortKey": query.get("sortKey", key),
        "sortDirection": query.get("sortDirection", "descending"),
        "totalRecords": len(rows),
        "records": ordered[start : start + size],
    }
