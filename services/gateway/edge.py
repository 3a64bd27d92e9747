"""The outermost layer, pure ASGI: request id, trace, security headers, and what is counted of every request."""

import time
from collections.abc import Iterable, Mapping
from functools import cache
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.telemetry import Telemetry, correlation
from libs.telemetry.correlation import Trace
from services.gateway.bodies import CallerLeft
from services.gateway.problems import HeadersTooLarge, respond

ROUTE = "lockgroove.route"  # in the scope: the template of the route that answers

MAX_HEADERS = 32 * 1024  # bytes of names and values

_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
_WEBHOOKS = "webhooks"
_HIDDEN = "-"  # instead of a secret
_LEFT = 499  # nginx's number for a client that closed its connection
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Edge:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry
        labels = ["method", "route"]
        metrics = telemetry.metrics
        requests = metrics.counter("http_requests", "Requests by method, route and status.", [*labels, "status"])
        durations = metrics.histogram("http_duration_seconds", "How long requests took, streams too.", labels)
        self._requests = cache(requests.labels)  # finding the child of a label costs more than counting
        self._duration = cache(durations.labels)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # the first of each name
        correlation.service.set(self._telemetry.service)
        request_id = correlation.valid_request_id(
            _text(headers, b"x-request-id") or _text(headers, b"x-correlation-id")
        )
        correlation.request_id.set(request_id)
        answer = _Answer(send, request_id)
        started = time.monotonic()
        parent = Trace.parse(_text(headers, b"traceparent"))
        attributes = {"http.request.method": scope["method"], "url.path": shown_path(scope["path"])}
        with self._telemetry.tracer.span("http.request", "server", parent=parent, attributes=attributes) as span:
            try:
                await self._serve(scope, receive, answer)
            except CallerLeft:
                answer.status = answer.status or _LEFT
            finally:
                status = answer.status or 500
                span.set("http.route", _route(scope))
                span.set("http.response.status_code", status)
                self._count(scope, status, time.monotonic() - started)

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        if _size(scope["headers"]) > MAX_HEADERS:
            refusal = respond(HeadersTooLarge(f"the headers are larger than {MAX_HEADERS} bytes"))
            await refusal(scope, receive, answer)
        else:
            await self._app(scope, receive, answer)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = _route(scope)
        self._requests(method, route, str(status)).inc()
        self._duration(method, route).observe(seconds)


class _Answer:
    """Sends on what the application sends, with our headers."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._headers = ((b"x-request-id", request_id.encode()), *_SECURITY_HEADERS)
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
        await self._send(message)


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def shown_path(path: str) -> str:
    """The path as traces may keep it: what stands behind a source of webhooks may be its secret.

    So it may in an address that is written wrongly: with a slash too many, or a proxy's prefix.
    """
    steps = path.split("/")
    if _WEBHOOKS in steps:
        named = next((at for at in range(steps.index(_WEBHOOKS) + 1, len(steps)) if steps[at]), len(steps))
        if steps[named + 1 :] not in ([], ["verify"]):
            steps[named + 1 :] = [_HIDDEN]
    return quote("/".join(steps))


def _route(scope: Scope) -> str:
    """The template of the route that answered: a label with few values."""
    return str(scope.get(ROUTE) or getattr(scope.get("route"), "path", "unknown"))


def _size(headers: Iterable[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)
