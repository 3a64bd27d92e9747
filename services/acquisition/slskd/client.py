"""slskd's HTTP interface: calls, status codes and waits as they really are (API v0, slskd 0.26)."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from libs.outbound.bounded import bounded
from libs.outbound.http import httpx
from libs.telemetry.tracing import LocalTracer, Tracer
from services.acquisition.domain.candidates import RemoteFile
from services.acquisition.domain.providers import SlskdAddress
from services.acquisition.slskd.errors import (
    FIRST_VERSION,
    NO_SLSKD,
    SlskdAway,
    SlskdBusy,
    SlskdFault,
    SlskdOff,
    SlskdRefusedKey,
    SlskdTooOld,
    SlskdUnclear,
    SlskdUnreachable,
)
from services.acquisition.slskd.transfer import Json, Transfer, read_batch, read_transfer, read_users

CONNECT_TIMEOUT = 5.0  # seconds
READ_TIMEOUT = 15.0
ENQUEUE_TIMEOUT = 90.0  # slskd asks the peer, and waits for its own lock
WHOLE = 2  # read timeouts, until an answer that trickles in is given up
MOST_RESPONSES = 250
MOST_FILES = 25_000
EVENTS = 100  # a page
_BUSY_TRIES = 40  # that slskd refuses for being busy, a second or so apart
_MAX_TEXT = 200

_OK, _CREATED, _NO_CONTENT, _SOME = 200, 201, 204, 207
_BAD, _GONE, _KNOWN, _BUSY, _BROKEN = 400, 404, 409, 429, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """What became of a request for one file: a `transfer`, or the reason why not in the `status` and its `message`."""

    status: int
    transfer: Transfer | None = None
    message: str = ""

    @property
    def is_in_progress(self) -> bool:
        """Whether a transfer of the same file runs already."""
        return "already in progress" in self.message.lower()


class SlskdClient:
    """Speaks HTTP with the slskd that `address` names at that moment: one caller at a time where slskd wants that.

    `problem` says why there is no address, and what to do.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        address: Callable[[], SlskdAddress | None],
        problem: Callable[[], str] = lambda: NO_SLSKD,
        tracer: Tracer | None = None,
        pause: Callable[[], float] = lambda: random.uniform(0.5, 2),  # noqa: S311 (jitter, not a secret)
    ) -> None:
        self._http = http
        self._address = address
        self._problem = problem
        self._tracer = tracer or LocalTracer()
        self._pause = pause
        self._searching = asyncio.Lock()
        self._enqueueing = asyncio.Lock()

    async def ensure_ready(self) -> None:
        """Raises SlskdAway unless it is logged in to Soulseek, and SlskdTooOld."""
        told = _document(await self._call("GET", "/application"))
        version, server = told.get("version"), told.get("server")
        current = str(version.get("current") if isinstance(version, Mapping) else version)
        if _is_too_old(current):
            raise SlskdTooOld(current)
        if not (isinstance(server, Mapping) and server.get("isLoggedIn")):
            raise SlskdAway

    async def search(self, search_id: str, text: str, *, milliseconds: int) -> bool:
        """Begin a search; False where slskd finds nothing in the text to search for. Raises NetworkAway."""
        body = {
            "id": search_id,
            "searchText": text,
            "searchTimeout": milliseconds,
            "responseLimit": MOST_RESPONSES,
            "fileLimit": MOST_FILES,
        }
        async with self._searching:
            answer = await self._patiently(lambda: self._call("POST", "/searches", body=body))
        if answer.status_code == _KNOWN:
            raise SlskdAway
        if answer.status_code == _BAD:
            return False
        _expect(answer, _OK, _CREATED)
        return True

    async def find_search(self, search_id: str) -> Json | None:
        """A search without its answers, or None."""
        answer = await self._call("GET", f"/searches/{search_id}")
        return None if answer.status_code == _GONE else _document(answer)

    async def responses(self, search_id: str) -> Sequence[Json]:
        """The answers of a search; empty until it has ended."""
        return _rows(await self._call("GET", f"/searches/{search_id}/responses"))

    async def stop_search(self, search_id: str) -> None:
        """Let a search end now."""
        _expect(await self._call("PUT", f"/searches/{search_id}"), _OK, _GONE)

    async def delete_search(self, search_id: str) -> None:
        """Forget a search."""
        _expect(await self._call("DELETE", f"/searches/{search_id}"), _NO_CONTENT, _OK, _GONE)

    async def enqueue(self, batch_id: str, peer: str, file: RemoteFile, destination: str) -> Enqueued:
        """Ask for one file, as a batch of its own. After SlskdUnclear read the batch."""
        body = {
            "id": batch_id,
            "username": peer,
            "files": [{"filename": file.path, "size": file.size}],
            "options": {"destination": destination},
        }
        async with self._enqueueing:
            answer = await self._patiently(
                lambda: self._call("POST", "/transfers/downloads/batches", body=body, seconds=ENQUEUE_TIMEOUT)
            )
        if answer.status_code not in (_OK, _CREATED, _SOME):
            _expect(answer, _BAD, _GONE, _KNOWN, _BROKEN)
            return Enqueued(status=answer.status_code, message=answer.text[:_MAX_TEXT])
        told = _document(answer)
        transfers = read_batch(told.get("batch") or {})
        message = "" if transfers else _first_message(told.get("failures"))
        return Enqueued(status=answer.status_code, transfer=transfers[0] if transfers else None, message=message)

    async def find_batch(self, batch_id: str) -> list[Transfer] | None:
        """The transfers of a batch, or None where there is no such batch."""
        answer = await self._call("GET", f"/transfers/downloads/batches/{batch_id}")
        return None if answer.status_code == _GONE else read_batch(_document(answer))

    async def find_transfer(self, peer: str, transfer_id: str) -> Transfer | None:
        """A download, or None."""
        answer = await self._call("GET", _path(peer, transfer_id))
        return None if answer.status_code == _GONE else read_transfer(_document(answer))

    async def transfers(self, peer: str) -> list[Transfer]:
        """The downloads from a peer that are listed."""
        answer = await self._call("GET", _path(peer))
        return [] if answer.status_code == _GONE else list(read_users(_json(answer)))

    async def all_transfers(self) -> list[Transfer]:
        """All downloads, those that were taken off the list included."""
        answer = await self._call("GET", "/transfers/downloads", params={"includeRemoved": "true"})
        return list(read_users(_json(answer)))

    async def cancel(self, transfer: Transfer) -> None:
        """Ask for a download's end, which comes later."""
        _expect(await self._call("DELETE", _path(transfer.peer, transfer.id)), _NO_CONTENT, _OK, _GONE)

    async def hide(self, transfer: Transfer) -> None:
        """Take a download that has ended off the list."""
        answer = await self._call("DELETE", _path(transfer.peer, transfer.id), params={"remove": "true"})
        _expect(answer, _NO_CONTENT, _OK, _GONE)

    async def events(self) -> Sequence[Json]:
        """The newest events, the newest first."""
        return _rows(await self._call("GET", "/events", params={"offset": 0, "limit": EVENTS}))

    async def _patiently(self, call: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """Call again while another caller is being served: that counts against nobody."""
        for _ in range(_BUSY_TRIES):
            answer = await call()
            if answer.status_code != _BUSY:
                return answer
            await asyncio.sleep(self._pause())
        raise SlskdBusy

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        params: Mapping[str, str | int] | None = None,
        seconds: float = READ_TIMEOUT,
    ) -> httpx.Response:
        address = self._address()
        if address is None:
            raise SlskdOff(self._problem())
        attributes = {"provider": "slskd", "url.path": path}
        with self._tracer.span(f"{method} slskd", "client", attributes=attributes) as span:
            try:
                answer = await self._send(address, method, path, body=body, params=params, seconds=seconds)
            except SlskdUnreachable as error:
                span.fail(error.message)
                raise
            span.set("status", str(answer.status_code))
        if answer.status_code in (401, 403):
            raise SlskdRefusedKey(answer.status_code)
        return answer

    async def _send(
        self,
        address: SlskdAddress,
        method: str,
        path: str,
        *,
        body: Json | None,
        params: Mapping[str, str | int] | None,
        seconds: float,
    ) -> httpx.Response:
        try:
            return await bounded(
                self._http,
                method,
                f"{address.url.rstrip('/')}/api/v0{path}",
                params=params,
                json=body,
                headers={"Accept": "application/json", "X-API-Key": address.api_key},
                timeout=httpx.Timeout(seconds, connect=CONNECT_TIMEOUT),
                seconds=WHOLE * seconds,
            )
        except httpx.ConnectTimeout as error:
            raise SlskdUnreachable from error
        except (httpx.TimeoutException, httpx.RemoteProtocolError, httpx.ReadError) as error:
            raise SlskdUnclear from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SlskdUnreachable from error


def _path(*parts: str) -> str:
    return "/".join(["/transfers/downloads", *(quote(part, safe="") for part in parts)])


def _expect(answer: httpx.Response, *statuses: int) -> None:
    if answer.status_code not in statuses:
        raise SlskdFault(f"it answered {answer.status_code}")


def _json(answer: httpx.Response) -> Any:
    _expect(answer, _OK, _CREATED, _SOME)
    try:
        return answer.json()
    except (ValueError, RecursionError) as error:
        raise SlskdFault("what answers at slskd.url does not speak JSON. Is it slskd?") from error


def _document(answer: httpx.Response) -> Json:
    told = _json(answer)
    if not isinstance(told, Mapping):
        raise SlskdFault("it answered something else than it should")
    return told


def _rows(answer: httpx.Response) -> Sequence[Json]:
    told = _json(answer)
    if not isinstance(told, list):
        raise SlskdFault("it answered something else than a list")
    return [row for row in told if isinstance(row, Mapping)]


def _first_message(failures: Any) -> str:
    first = failures[0] if isinstance(failures, list) and failures else None
    return str(first.get("message"))[:_MAX_TEXT] if isinstance(first, Mapping) else ""


def _is_too_old(version: str) -> bool:
    """Whether it says so; what cannot be read is taken for new."""
    numbers = version.lstrip("v").split(".")[: len(FIRST_VERSION)]
    return all(number.isdecimal() for number in numbers) and tuple(map(int, numbers)) < FIRST_VERSION
