"""Pages of other origins: those that the settings list may call, with the user's cookies, and read the answers."""

from collections.abc import Iterable, Mapping

from lockgroove.config.v1 import config_pb2 as pb
from starlette.types import ASGIApp, Receive, Scope, Send

from libs.errors import PermissionDenied
from services.gateway.http.edge import ADDED
from services.gateway.http.security import Header

_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_HEADERS = (
    b"authorization, x-api-key, content-type, if-match, if-none-match, idempotency-key, x-correlation-id,"
    b" x-request-id, x-csrf-token, last-event-id, traceparent"
)
_EXPOSED = (
    b"etag, retry-after, ratelimit-limit, ratelimit-remaining, ratelimit-reset, ratelimit-policy, ratelimit,"
    b" x-correlation-id, x-request-id, location, link"
)
_MAX_AGE = b"600"  # seconds that a browser need not ask again
_VARY: Header = (b"vary", b"Origin")
_USUAL_PORTS = {"http": ":80", "https": ":443"}
_ASKING = b"access-control-request-method"


class OriginNotAllowed(PermissionDenied):
    """A page of an origin that is not listed wants to call."""

    reason = "ORIGIN_NOT_ALLOWED"


class Cors:
    """The layer that lets listed origins in. With none listed it does nothing but to refuse preflights."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._allowed: Mapping[bytes, tuple[Header, ...]] = {}

    def follow(self, snapshot: pb.Snapshot) -> None:
        """Take over the settings of a snapshot."""
        self._allowed = {origin: _grant(origin) for origin in origins(snapshot.settings.gateway.cors_origins)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        origin = _header(scope, b"origin")
        granted = self._allowed.get(origin) if origin else None
        if granted is not None:
            scope[ADDED] = (*scope.get(ADDED, ()), *granted)
        elif self._allowed:
            scope[ADDED] = (*scope.get(ADDED, ()), _VARY)
        if scope["method"] == "OPTIONS" and origin and _header(scope, _ASKING):
            await _preflight(granted is not None, send)
        else:
            await self._app(scope, receive, send)


def origins(text: str) -> Iterable[bytes]:
    """The origins that a setting lists, as browsers write them: in lower case, without the usual port."""
    for name in filter(None, map(str.strip, text.lower().split(","))):
        yield name.removesuffix(_USUAL_PORTS.get(name.partition("://")[0], "")).encode()


async def _preflight(is_allowed: bool, send: Send) -> None:
    if not is_allowed:
        raise OriginNotAllowed("pages of this origin may not call: gateway.corsOrigins does not list it")
    headers = [
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", _HEADERS),
        (b"access-control-max-age", _MAX_AGE),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body"})


def _grant(origin: bytes) -> tuple[Header, ...]:
    return (
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", _EXPOSED),
        _VARY,
    )


def _header(scope: Scope, wanted: bytes) -> bytes:
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return b""
