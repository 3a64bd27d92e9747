"""The pretended slskd's calls about downloads: enqueueing in batches, reading, cancelling and hiding."""

import asyncio
import uuid
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy.demo.slskd.downloads import Batch, Downloads, Transfer
from deploy.demo.slskd.peers import SlskdPeer
from deploy.demo.slskd.timing import Timing
from libs.clock import Clock

Json = dict[str, Any]

MOST_ENQUEUEING = 2
IN_PROGRESS = "Skipped: Already in progress"


class DownloadRoutes:
    """The calls. `empty_batches` counts calls that are to fail (500) once their batch is written."""

    def __init__(self, downloads: Downloads, peers: Mapping[str, SlskdPeer], *, timing: Timing, clock: Clock) -> None:
        self.empty_batches = 0
        self._enqueueing = 0
        self._downloads = downloads
        self._peers = peers
        self._timing = timing
        self._clock = clock

    def routes(self) -> list[Route]:
        """Its part of the API."""
        one = "/transfers/downloads/{username}/{id}"
        return [
            Route("/transfers/downloads", self._all),
            Route("/transfers/downloads/batches", self._post, methods=["POST"]),
            Route("/transfers/downloads/batches/{id}", self._batch),
            Route("/transfers/downloads/all/completed", self._hide_all, methods=["DELETE"]),
            Route("/transfers/downloads/{username}", self._of_user),
            Route(one, self._one, methods=["GET"]),
            Route(one, self._cancel, methods=["DELETE"]),
            Route(f"{one}/position", self._position),
        ]

    async def _post(self, request: Request) -> Response:
        if self._enqueueing >= MOST_ENQUEUEING:
            return PlainTextResponse("Only one concurrent operation is permitted. Wait until it completes.", 429)
        self._enqueueing += 1
        try:
            return await self._posted(await request.json())
        finally:
            self._enqueueing -= 1

    async def _posted(self, body: Json) -> Response:
        if complaint := _complaint(body):
            return PlainTextResponse(complaint, 400)
        peer = self._peers.get(body["username"])
        if peer is None or not peer.online:
            return PlainTextResponse(f"User {body['username']} appears to be offline", 404)
        batch_id = str(body.get("id") or uuid.uuid4())
        if batch_id in self._downloads.batches:
            return PlainTextResponse(f"A batch with id {batch_id} already exists", 409)
        batch = Batch(id=batch_id, search_id=body.get("searchId"), username=peer.username, created=self._clock.now())
        self._downloads.batches[batch_id] = batch
        await asyncio.sleep(self._timing.enqueue)
        if self.empty_batches:
            self.empty_batches -= 1
            return PlainTextResponse("Failed to establish a direct or indirect message connection", 500)
        return self._enqueued(peer, batch, body)

    def _enqueued(self, peer: SlskdPeer, batch: Batch, body: Json) -> Response:
        failures = []
        destination = (body.get("options") or {}).get("destination") or ""
        for file in body["files"]:
            name = file["filename"]
            if self._downloads.running(peer.username, name):
                failures.append({"filename": name, "message": IN_PROGRESS})
            else:
                self._downloads.begin(peer, name, file["size"], batch=batch, destination=destination)
        status = 201 if not failures else 207 if len(failures) < len(body["files"]) else 200
        return JSONResponse({"batch": batch.row(), "failures": failures}, status)

    async def _batch(self, request: Request) -> Response:
        batch = self._downloads.batches.get(request.path_params["id"])
        return Response(status_code=404) if batch is None else JSONResponse(batch.row())

    async def _all(self, request: Request) -> Response:
        removed = request.query_params.get("includeRemoved") == "true"
        shown = [transfer for transfer in self._downloads.transfers.values() if removed or not transfer.hidden]
        return JSONResponse([_user(username, listed) for username, listed in _grouped(shown, _username)])

    async def _of_user(self, request: Request) -> Response:
        username = request.path_params["username"]
        shown = [each for each in self._downloads.transfers.values() if each.username == username and not each.hidden]
        return JSONResponse(_user(username, shown)) if shown else Response(status_code=404)

    async def _one(self, request: Request) -> Response:
        if not _is_guid(request.path_params["id"]):
            return Response(status_code=400)
        transfer = self._find(request)
        return Response(status_code=404) if transfer is None else JSONResponse(transfer.row())

    async def _position(self, request: Request) -> Response:
        return Response(status_code=404) if self._find(request) is None else JSONResponse(7)

    async def _cancel(self, request: Request) -> Response:
        transfer = self._find(request)
        if transfer is not None:
            self._downloads.cancel(transfer)
            transfer.hidden |= transfer.is_over and request.query_params.get("remove") == "true"
        return Response(status_code=204)

    async def _hide_all(self, _request: Request) -> Response:
        for transfer in self._downloads.transfers.values():
            transfer.hidden |= transfer.is_over
        return Response(status_code=204)

    def _find(self, request: Request) -> Transfer | None:
        transfer = self._downloads.transfers.get(request.path_params["id"])
        return transfer if transfer and transfer.username == request.path_params["username"] else None


def _complaint(body: Json) -> str:
    files, destination = body.get("files") or [], (body.get("options") or {}).get("destination") or ""
    names = [file.get("filename") for file in files]
    if body.get("id") and not _is_guid(body["id"]):
        return "The batch id is not a GUID"
    if not all(names) or len(set(names)) != len(names) or not names:
        return "Files may not be empty, null or repeated"
    if destination.startswith("/") or ".." in destination.split("/"):
        return "The destination may not be absolute or leave the downloads directory"
    return ""


def _is_guid(text: str) -> bool:
    try:
        return bool(uuid.UUID(text))
    except ValueError:
        return False


def _username(transfer: Transfer) -> str:
    return transfer.username


def _folder(transfer: Transfer) -> str:
    return transfer.filename.rpartition("\\")[0]


def _grouped(transfers: Iterable[Transfer], key: Callable[[Transfer], str]) -> list[tuple[str, list[Transfer]]]:
    return [(name, list(group)) for name, group in groupby(sorted(transfers, key=key), key=key)]


def _user(username: str, transfers: list[Transfer]) -> Json:
    directories = [
        {"directory": folder, "fileCount": len(listed), "files": [transfer.row() for transfer in listed]}
        for folder, listed in _grouped(transfers, _folder)
    ]
    return {"username": username, "directories": directories}
