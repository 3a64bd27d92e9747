"""Errors as `application/problem+json` (RFC 9457): the only place beside `libs.rpc.errors` that knows status codes."""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from libs.errors import (
    AlreadyExists,
    AppError,
    Conflict,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Violation,
)
from libs.rpc.errors import INTERNAL_MESSAGE, code_of
from libs.telemetry import correlation
from libs.transcoding import jsontext

MEDIA_TYPE = "application/problem+json"

_RETRY_AFTER = timedelta(seconds=5)  # where a part that is down does not say when to come back


class RouteUnknown(NotFound):
    """Nothing is served at this path."""

    reason = "ROUTE_UNKNOWN"


class MethodNotAllowed(Unimplemented):
    """The path is known, but not with this method; `allowed` are the methods that it knows."""

    reason = "METHOD_NOT_ALLOWED"

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"this path knows {', '.join(allowed)} only", metadata={"allow": ", ".join(allowed)})


class UnsupportedMediaType(InvalidArgument):
    """The body is of a type that is not read here."""

    reason = "UNSUPPORTED_MEDIA_TYPE"


class NotAcceptable(InvalidArgument):
    """What the client accepts is not what is sent here."""

    reason = "NOT_ACCEPTABLE"


class BodyTooLarge(ResourceExhausted):
    """The body is larger than is read here."""

    reason = "BODY_TOO_LARGE"


class HeadersTooLarge(ResourceExhausted):
    """The headers are larger than is read here."""

    reason = "HEADERS_TOO_LARGE"


class TargetTooLong(ResourceExhausted):
    """The path and the query are longer than is read here."""

    reason = "TARGET_TOO_LONG"


class BodyTooSlow(DeadlineExceeded):
    """The body did not arrive in time."""

    reason = "BODY_TOO_SLOW"


_STATUS: dict[type[AppError], HTTPStatus] = {
    MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HeadersTooLarge: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    TargetTooLong: HTTPStatus.REQUEST_URI_TOO_LONG,
    BodyTooSlow: HTTPStatus.REQUEST_TIMEOUT,
    InvalidArgument: HTTPStatus.BAD_REQUEST,
    FailedPrecondition: HTTPStatus.BAD_REQUEST,
    NotFound: HTTPStatus.NOT_FOUND,
    AlreadyExists: HTTPStatus.CONFLICT,
    Conflict: HTTPStatus.CONFLICT,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    PermissionDenied: HTTPStatus.FORBIDDEN,
    ResourceExhausted: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
    Unimplemented: HTTPStatus.NOT_IMPLEMENTED,
    Internal: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_CLOSING = (BodyTooLarge, HeadersTooLarge, BodyTooSlow)  # what is left of the request is not read


def status_of(error: AppError) -> HTTPStatus:
    """The status of an error, by the nearest class of the tree."""
    found = (_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    return next(found, HTTPStatus.INTERNAL_SERVER_ERROR)


def problem(error: AppError, violations: Sequence[Violation] | None = None) -> dict[str, Any]:
    """The body; `violations` are the error's own unless given. An Internal keeps its text to itself."""
    status, inside = status_of(error), isinstance(error, Internal)
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": INTERNAL_MESSAGE if inside else error.message,
        "code": code_of(error).name,
        "reason": error.code_reason,
        "requestId": correlation.request_id.get() or "",
    }
    listed = error.violations if violations is None else violations
    if listed:
        body["violations"] = [
            {"field": each.field, "description": each.description, "reason": each.reason} for each in listed
        ]
    if error.metadata and not inside:
        body["metadata"] = error.metadata
    return body


def respond(error: AppError, violations: Sequence[Violation] | None = None) -> Response:
    """The response for an error."""
    body = jsontext.dumps(problem(error, violations))
    return Response(body, status_of(error), headers=_headers(error), media_type=MEDIA_TYPE)


def respond_to(method: str, error: AppError) -> Response:
    """The response for an error of a request with this method: OPTIONS asks for nothing but the methods of a path."""
    if method == "OPTIONS" and isinstance(error, MethodNotAllowed):
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"allow": f"{error.metadata['allow']}, OPTIONS"})
    return respond(error)


async def on_app_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for AppError."""
    assert isinstance(error, AppError)
    return respond_to(request.method, error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's handler for what its own routing refuses."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = sorted((error.headers or {}).get("Allow", "").split(", "))
        return respond_to(request.method, MethodNotAllowed(allowed))
    return respond(RouteUnknown("nothing is served at this path"))


async def on_defect(_request: Request, _error: Exception) -> Response:
    """Starlette's handler for everything else; it raises the error again afterwards, so that it is logged."""
    return respond(Internal("unforeseen"))


def _headers(error: AppError) -> Mapping[str, str]:
    headers = {"cache-control": "no-store"}
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = error.metadata["allow"]
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = 'Bearer realm="lockgroove"'
    wait = error.retry_after or (_RETRY_AFTER if isinstance(error, Unavailable) else None)
    if wait is not None:
        headers["retry-after"] = str(max(1, math.ceil(wait.total_seconds())))
    if isinstance(error, _CLOSING):
        headers["connection"] = "close"
    return headers
