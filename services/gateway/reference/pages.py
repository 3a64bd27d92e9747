"""The operations that no annotation can express: health, metrics, sessions of browsers, webhooks that come in."""

from collections.abc import Mapping, Sequence

from libs.transcoding.constraints import Schema
from libs.transcoding.openapi import problem_response
from services.gateway.reference.components import IDS, RATES, errors, header_references, parameter_reference

TAGS: Sequence[Schema] = (
    {"name": "Gateway", "description": "How the suite is, and where webhooks and browsers come in."},
    {"name": "Session", "description": "Sessions of browsers: signed in with a key, known by a cookie afterwards."},
)

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
_YES_OR_NO: Schema = {"type": "boolean"}
_COMPARED = ("ETag", *IDS)


def _object(description: str = "", **properties: Schema) -> Schema:
    """An object that has all of these, and may have others."""
    about = {"description": description} if description else {}
    return {"type": "object", **about, "properties": properties, "required": list(properties)}


def _named(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(
    description: str, schema: Schema, headers: tuple[str, ...] = IDS, *, kind: str = "application/json"
) -> Schema:
    return {"description": description, "headers": header_references(headers), "content": {kind: {"schema": schema}}}


def _operation(name: str, summary: str, responses: Mapping[str, Schema], **more: object) -> Schema:
    tag = "Session" if name.endswith("Session") else "Gateway"
    return {
        "operationId": f"Gateway_{name}",
        "tags": [tag],
        "summary": summary,
        **more,
        "responses": responses,
        "security": more.get("security", []),
    }


def _path(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


_COMPONENT = _object(
    "Something that a service depends on.",
    status={"type": "string", "description": "`UP`, `DEGRADED`, `DOWN`, `DISABLED` or `UNKNOWN`."},
    since=_TIME,
    checkedAt=_TIME,
    critical={"type": "boolean", "description": "Whether its service cannot work without it."},
    reason={"type": "string", "description": "Why, as one word: `TIMEOUT`."},
)
_HEALTH = _object(
    "How everything is.",
    status={"enum": ["healthy", "degraded", "unhealthy"]},
    version=_TEXT,
    timestamp=_TIME,
    uptime_seconds={"type": "integer", "description": "For how long the gateway has run."},
    services={
        "type": "object",
        "additionalProperties": _object(
            status={"type": "string", "description": "`SERVING`, `NOT_SERVING` or `UNREACHABLE`."},
            since=_TIME,
            components={"type": "object", "additionalProperties": _named("Component")},
        ),
    },
    database=_named("Component"),
    redis=_named("Component"),
    soulseek=_named("Component"),
    lidarr=_named("Component"),
    breakers={
        "type": "object",
        "additionalProperties": {"type": "string", "description": "`CLOSED`, `OPEN`, `HALF_OPEN` or `UNKNOWN`."},
    },
    killSwitch=_object("On where it cannot be read.", enabled=_YES_OR_NO, since=_TIME, readable=_YES_OR_NO),
)
_READINESS = _object(
    "Whether the suite can work.",
    ready=_YES_OR_NO,
    reasons={"type": "array", "items": _TEXT, "description": "Why it cannot: `config: UNREACHABLE`."},
)
_SESSION = _object(
    "Who is signed in.",
    user={"type": "string", "description": "The name under which the browser acts."},
    scopes={"type": "array", "items": _named("lockgroove.api.v1.Scope")},
    expireTime={"type": "string", "format": "date-time"},
    csrfToken={"type": "string", "description": "To be sent as `X-CSRF-Token` with everything that changes something."},
)
_RECEIPT = _object("That a delivery is stored.", eventId=_TEXT, duplicate=_YES_OR_NO)
SCHEMAS: Mapping[str, Schema] = {
    "Component": _COMPONENT,
    "Health": _HEALTH,
    "Readiness": _READINESS,
    "Session": _SESSION,
    "Receipt": _RECEIPT,
}

_COOKIE_IDS = (*IDS, *RATES, "Set-Cookie")
_SIGN_IN = _operation(
    "BeginSession",
    "Signs a browser in",
    {
        "200": _answer("The session; its credential is in the cookie.", _named("Session"), _COOKIE_IDS),
        **errors(401, 403, 429, 503, 504),
    },
    description="Takes an API key in a header, answers with a cookie that no script can read.",
    security=[{"apiKey": []}, {"bearer": []}],
)
_SHOW = _operation(
    "GetSession",
    "Tells who is signed in",
    {"200": _answer("The session.", _named("Session"), (*IDS, *RATES)), **errors(401, 429)},
    security=[{"session": []}],
)
_SIGN_OUT = _operation(
    "EndSession",
    "Signs a browser out",
    {
        "204": {"description": "It is signed out.", "headers": header_references(_COOKIE_IDS)},
        **errors(403, 429, 503, 504),
    },
    security=[{"session": [], "csrf": []}, {}],
)


def _webhook(name: str, *parameters: str) -> Schema:
    challenge = _object("What the sender wants to see again.", challenge=_TEXT)
    return _operation(
        name,
        "Takes a webhook in",
        {
            "200": _answer("The challenge of a sender that wants one back.", challenge),
            "202": _answer("Stored, now or before.", _named("Receipt")),
            **errors(400, 401, 403, 404, 408, 413, 415, 429, 503),
        },
        description="Answers once the delivery is stored. Its credential is the one that the source is set up with.",
        parameters=[_path(each) for each in parameters],
        requestBody={"content": {"*/*": {"schema": {}}}},
    )


_CALLBACK = _operation(
    "OAuthCallback",
    "Ends the connection of an account",
    {
        "200": _answer("A page for people.", _TEXT, kind="text/html"),
        "4XX": _answer("A page that says what went wrong.", _TEXT, kind="text/html"),
        "5XX": _answer("A page that says what went wrong.", _TEXT, kind="text/html"),
        "default": problem_response("An error."),
    },
    description="Where providers send browsers back to.",
    parameters=[
        _path("service"),
        *({"name": name, "in": "query", "schema": _TEXT} for name in ("state", "code", "error")),
    ],
)
_OURS: Mapping[str, Schema] = {
    "/api/webhooks/{source}": {"post": _webhook("ReceiveWebhook", "source")},
    "/api/webhooks/{source}/{secret}": {"post": _webhook("ReceiveWebhookWithSecret", "source", "secret")},
    "/api/oauth/callback/{service}": {"get": _CALLBACK},
    "/api/session": {"get": _SHOW, "post": _SIGN_IN, "delete": _SIGN_OUT},
    "/api/live": {
        "get": _operation(
            "Live",
            "Says that the gateway answers",
            {"200": _answer("It does.", _object(status={"const": "alive"})), **errors()},
            description="Asks nothing else.",
        )
    },
    "/api/ready": {
        "get": _operation(
            "Ready",
            "Says whether the suite can work",
            {
                "200": _answer("It can.", _named("Readiness")),
                "503": _answer("It cannot, or the gateway stops.", _named("Readiness")),
                **errors(),
            },
        )
    },
    "/api/health": {
        "get": _operation(
            "Health", "Tells how everything is", {"200": _answer("It is so.", _named("Health")), **errors()}
        )
    },
    "/api/metrics": {
        "get": _operation(
            "Metrics",
            "Metrics of the whole suite",
            {"200": _answer("In Prometheus' text format.", _TEXT, kind="text/plain"), **errors()},
        )
    },
    "/api/openapi.json": {
        "get": _operation(
            "Description",
            "This description",
            {
                "200": _answer("OpenAPI 3.1.", _object(openapi=_TEXT), _COMPARED),
                "304": {"$ref": "#/components/responses/NotModified"},
                **errors(406),
            },
            parameters=[parameter_reference("IfNoneMatch")],
        )
    },
}
_ELSEWHERE: Mapping[str, Sequence[str]] = {
    "/api/live": ("/api/health/live", "/live"),
    "/api/ready": ("/api/health/ready", "/ready"),
    "/api/health": ("/health",),
}
"""Where other systems have the same."""
PATHS: Mapping[str, Schema] = {
    **_OURS,
    **{
        address: {"get": {**_OURS[path]["get"], "operationId": f"{_OURS[path]['get']['operationId']}_{index}"}}
        for path, addresses in _ELSEWHERE.items()
        for index, address in enumerate(addresses, 1)
    },
}
