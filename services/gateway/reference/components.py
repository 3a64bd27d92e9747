"""What operations share in the description: credentials, headers, parameters, and how errors are answered."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from libs.transcoding.constraints import Schema
from libs.transcoding.openapi import problem_response
from services.gateway.access.browsers import COOKIE, HOST_COOKIE

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "integer", "minimum": 0}
_ERRORS: Mapping[int, str] = {
    400: "The request is wrong, or asks for what cannot be done now; `violations` name the fields.",
    401: "No credential was sent, or one that is not valid.",
    403: "The credential is good, but not for this; or the CSRF token of a session, or the origin, is not.",
    404: "What the path or the body names is not there.",
    406: "`Accept` does not admit what is sent here.",
    408: "The body did not arrive in time.",
    409: "It is there already, or it was changed in the meantime: read it again.",
    413: "The body is too large.",
    415: "The body is of a type that is not read here.",
    429: "Too many requests: `Retry-After` says when to come back.",
    501: "The suite is set up without this.",
    502: "A provider failed.",
    503: "Something that is needed is down, or too much is under way: `Retry-After` says when to come back.",
    504: "Something that is needed did not answer in time.",
}
_OWN_HEADERS: Mapping[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy"),
    503: ("Retry-After",),
}
IDS = ("X-Request-Id", "X-Correlation-ID")
RATES = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy")


def _header(description: str, schema: Schema, *, always: bool = False) -> Schema:
    return {"description": description, **({"required": True} if always else {}), "schema": schema}


def _parameter(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": schema}


HEADERS: Mapping[str, Schema] = {
    "X-Request-Id": _header("Finds the request in logs and traces.", _TEXT, always=True),
    "X-Correlation-ID": _header(
        "The same; what the request sent under this name, if it was usable.", _TEXT, always=True
    ),
    "ETag": _header("The version of the answer, for `If-None-Match` and `If-Match`.", _TEXT),
    "RateLimit-Limit": _header("Requests that the limit allows that refuses next.", _NUMBER),
    "RateLimit-Remaining": _header("How many of them are left.", _NUMBER),
    "RateLimit-Reset": _header("Seconds until there is more.", _NUMBER),
    "RateLimit-Policy": _header("All limits, each as `LIMIT;w=SECONDS`.", _TEXT),
    "Retry-After": _header("Seconds to wait.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": _header("How to authenticate.", _TEXT, always=True),
    "Set-Cookie": _header(f"The cookie `{COOKIE}`, which no script can read.", _TEXT, always=True),
}
PARAMETERS: Mapping[str, Schema] = {
    "IfMatch": _parameter(
        "If-Match",
        "The `ETag` or `etag` that the resource must still have; else 409. An `etag` in the request goes before.",
        {"type": "string", "maxLength": 200, "pattern": r'^[\x21\x23-\x7e"]+$'},
    ),
    "IfNoneMatch": _parameter(
        "If-None-Match",
        "The `ETag` that is known already: 304 while it is the same.",
        {"type": "string", "pattern": r"^[\x21-\x7e]+$"},
    ),
    "IdempotencyKey": _parameter(
        "Idempotency-Key",
        "The same key twice is the same call once; what `requestId` is, as a header.",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
    ),
    "LastEventId": _parameter(
        "Last-Event-ID",
        "Where to go on: the `id` of the last event that arrived.",
        {"type": "string", "maxLength": 500, "pattern": r"^[\x21-\x7e]+$"},
    ),
}
SECURITY_SCHEMES: Mapping[str, Schema] = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "An API key."},
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key as `Authorization: Bearer KEY`."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": f"The session of a browser, which `POST /api/session` begins; over TLS `{HOST_COOKIE}`.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRF-Token",
        "description": "The `csrfToken` of the session, with everything that changes something.",
    },
    "ticket": {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": "A ticket of `POST /api/v1/tickets:issue`, good once: for an EventSource, which has no headers.",
    },
}


def components() -> dict[str, Mapping[str, Any]]:  # Any: JSON
    """All of them, as the description holds them."""
    return {
        "headers": HEADERS,
        "parameters": PARAMETERS,
        "responses": {
            **{_name(status): _error(status, text) for status, text in _ERRORS.items()},
            "Problem": {**problem_response("An error that is not listed."), "headers": header_references(IDS)},
            "NotModified": {
                "description": "It is what `If-None-Match` names.",
                "headers": header_references(("ETag", *IDS)),
            },
        },
        "securitySchemes": SECURITY_SCHEMES,
    }


def header_references(names: tuple[str, ...]) -> dict[str, Schema]:
    """References to headers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def parameter_reference(name: str) -> Schema:
    """The reference to a parameter."""
    return {"$ref": f"#/components/parameters/{name}"}


def errors(*statuses: int) -> dict[str, Schema]:
    """The responses for some statuses, and for all others."""
    listed = {str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in sorted(statuses)}
    return {**listed, "default": {"$ref": "#/components/responses/Problem"}}


def _name(status: int) -> str:
    return HTTPStatus(status).phrase.replace(" ", "")


def _error(status: int, text: str) -> Schema:
    names = (*IDS, *_OWN_HEADERS.get(status, ()))
    return {**problem_response(text), "headers": header_references(names)}
