"""The outermost layer, pure ASGI: request id, trace, security headers, and what is counted of every request."""

import time
from collections.abc import Iterable
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.telemetry import Telemetry, correlation
from libs.telemetry.correlation import Trace
from services.gateway.bodies import CallerLeft
from services.gateway.problems import HeadersTooLarge, respond

ROUTE = "lockgroove.route"  # in the scope: the template of the route that answers

MAX_HEADERS = 32 * 1024  # bytes of names and values

_SECURITY_HEADERS = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
)
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
        self._requests = metrics.counter("http_requests", "Requests by method, route and status.", [*labels, "status"])
        self._durations = metrics.histogram("http_duration_seconds", "How long requests took, streams too.", labels)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        correlation.service.set(self._telemetry.service)
        request_id = correlation.valid_request_id(headers.get("x-request-id") or headers.get("x-correlation-id"))
        correlation.request_id.set(request_id)
        answer = _Answer(send, request_id)
        started = time.monotonic()
        parent = Trace.parse(headers.get("traceparent"))
        attributes = {"http.request.method": scope["method"], "url.path": _shown_path(scope["path"])}
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
        self._requests.labels(method, route, str(status)).inc()
        self._durations.labels(method, route).observe(seconds)


class _Answer:
    """Sends on what the application sends, with our headers."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            headers["x-request-id"] = self._request_id
            for name, value in _SECURITY_HEADERS:
                headers[name] = value
            message = {**message, "headers": headers.raw}
        await self._send(message)


def _shown_path(path: str) -> str:
    """The path as traces may keep it: what stands behind a source of webhooks may be its secret."""
    steps = path.split("/")
    if steps[1:3] == ["api", "webhooks"] and steps[4:] not in ([], ["verify"]):
        steps[4:] = [_HIDDEN]
    return quote("/".join(steps))


def _route(scope: Scope) -> str:
    """The template of the route that answered: a label with few values."""
    return str(scope.get(ROUTE) or getattr(scope.get("route"), "path", "unknown"))


def _size(headers: Iterable[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)
