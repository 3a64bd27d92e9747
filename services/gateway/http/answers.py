"""The one way in which whole answers leave: so that they can be compared and compressed.

Only what is read (GET, HEAD) and may be stored is. An answer to a change may hold a secret beside what its caller sent,
and the length of both compressed together would tell of it (BREACH); so may one that is marked `no-store`.
"""

from collections.abc import Sequence

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.gateway.http.compression import SMALLEST, coding_for, compressed, is_compressible
from services.gateway.http.conditional import etag_of, has_already
from services.gateway.http.security import Header

NOT_STORED: Header = (b"cache-control", b"no-store")

_READING = frozenset({"GET", "HEAD"})
_ASK_AGAIN: Header = (b"cache-control", b"private, no-cache")
_VARY: Header = (b"vary", b"Accept-Encoding")
_MADE_HERE = frozenset({b"content-type", b"content-length"})


class Page(Response):
    """A response of Starlette that leaves by this way."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        headers = [header for header in self.raw_headers if header[0] not in _MADE_HERE]
        media_type = self.headers.get("content-type", "application/octet-stream").encode("latin-1")
        await send_answer(
            scope, send, status=self.status_code, body=bytes(self.body), media_type=media_type, headers=headers
        )


async def send_answer(
    scope: Scope,
    send: Send,
    *,
    status: int,
    body: bytes,
    media_type: bytes,
    headers: Sequence[Header] = (),
    version: str = "",
) -> None:
    """Send the answer to the request of `scope`; names of headers are in lower case, as ASGI has them.

    `version` is the etag of the resource that it shows. What may be kept is, and is asked for again each time.
    Raises NotAcceptable when `Accept-Encoding` forbids all that there is.
    """
    if scope["method"] in _READING and status == 200 and NOT_STORED not in headers:
        await _send_comparable(scope, send, body, media_type, headers, version)
        return
    raw = [(b"content-type", media_type), (b"content-length", b"%d" % len(body)), *headers]
    if NOT_STORED not in headers:
        raw.append(NOT_STORED)
    if version:
        raw.append((b"etag", version.encode("latin-1")))
    await _send(send, status, raw, body)


async def _send_comparable(
    scope: Scope, send: Send, body: bytes, media_type: bytes, headers: Sequence[Header], version: str
) -> None:
    known, accepted = _conditions(scope)
    etag = etag_of(body, version)
    raw = [(b"etag", etag), _ASK_AGAIN, _VARY, *headers]
    if known and has_already(known, etag):
        await _send(send, 304, raw, b"")
        return
    if accepted and is_compressible(media_type) and (coding := coding_for(accepted, len(body) < SMALLEST)):
        body = await compressed(body, coding)
        raw.append((b"content-encoding", coding))
    await _send(send, 200, [(b"content-type", media_type), (b"content-length", b"%d" % len(body)), *raw], body)


def _conditions(scope: Scope) -> tuple[bytes, bytes]:
    """`If-None-Match` and `Accept-Encoding`, all lines of each."""
    known: list[bytes] = []
    accepted: list[bytes] = []
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            known.append(value)
        elif name == b"accept-encoding":
            accepted.append(value)
    return b",".join(known), b",".join(accepted)


async def _send(send: Send, status: int, headers: list[Header], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
