"""The outermost layer, pure ASGI: request id, trace, security headers, and what is counted of every request.

What a layer inside of it, but outside of the routes, refuses is answered here, as routes answer it.
"""

import re
import time
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import chain
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.defects import as_internal
from libs.errors import AppError
from libs.telemetry import Telemetry, correlation
from libs.telemetry.correlation import Trace
from libs.telemetry.tracing import Span
from services.gateway.http.bodies import CallerLeft
from services.gateway.http.problems import HeadersTooLarge, respond_to
from services.gateway.http.security import Header, hardening

ROUTE = "lockgroove.route"  # in the scope: the template of the route that answers
ADDED = "lockgroove.added"  # in the scope: headers that layers add to the answer, whoever makes it

MAX_HEADERS = 32 * 1024  # bytes of names and values

_WEBHOOKS = "webhooks"
_AS_IT_IS = re.compile(r"[A-Za-z0-9/._~-]*")
_HIDDEN = "-"  # instead of a secret
_OUR_FAULT = 500
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
        request_id = _request_id(headers)
        correlation.request_id.set(request_id)
        answer = _Answer(scope, send, request_id)
        started = time.monotonic()
        parent = Trace.parse(_text(headers, b"traceparent"))
        attributes = {"http.request.method": scope["method"], "url.path": shown_path(scope["path"])}
        with self._telemetry.tracer.span("http.request", "server", parent=parent, attributes=attributes) as span:
            try:
                await self._serve(scope, receive, answer)
            finally:
                self._record(span, scope, answer.status or 500, time.monotonic() - started)

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        try:
            with as_internal("request.failed"):
                await self._answered(scope, receive, answer)
        except AppError as error:
            if not answer.status:
                await respond_to(scope["method"], error)(scope, receive, answer)

    async def _answered(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        if _size(scope["headers"]) > MAX_HEADERS:
            raise HeadersTooLarge(f"the headers are larger than {MAX_HEADERS} bytes")
        try:
            await self._app(scope, receive, answer)
        except CallerLeft:
            answer.status = answer.status or _LEFT

    def _record(self, span: Span, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = _route(scope)
        span.rename(f"{method} {route}")
        span.set("http.route", route)
        span.set("http.response.status_code", status)
        if status >= _OUR_FAULT:
            span.fail(str(status))
        self._requests(method, route, str(status)).inc()
        self._duration(method, route).observe(seconds)


class _Answer:
    """Sends on what the application sends, with our headers."""

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self._scope = scope
        self._send = send
        self._ids = request_ids(request_id)
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": self._headers(message.get("headers", ()))}
        await self._send(message)

    def _headers(self, sent: Iterable[Header]) -> list[Header]:
        headers = list(sent)
        scheme: str = self._scope.get("scheme", "http")
        return [*headers, *self._ids, *hardening(scheme, headers), *self._scope.get(ADDED, ())]


def request_ids(request_id: str) -> tuple[Header, Header]:
    """The headers that echo the id of a request."""
    value = request_id.encode()
    return (b"x-request-id", value), (b"x-correlation-id", value)


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    """The caller's id, before one that a proxy may have made; a new one where neither is well formed."""
    sent = _text(headers, b"x-correlation-id")
    if sent and correlation.valid_request_id(sent) == sent:
        return sent
    return correlation.valid_request_id(_text(headers, b"x-request-id"))


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def shown_path(path: str) -> str:
    """The path as traces may keep it: what stands behind a source of webhooks may be its secret.

    So it may in an address that is written wrongly: with a slash too many, or a proxy's prefix.
    """
    if _WEBHOOKS not in path:
        return path if _AS_IT_IS.fullmatch(path) else quote(path)
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
    return sum(map(len, chain.from_iterable(headers)))
