"""`/api/openapi.json` and the page that shows it: made of the descriptors, nothing from other hosts."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from lockgroove.api.v1 import annotations_pb2 as api
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.rpc.auth import scope_of
from libs.transcoding import jsontext
from libs.transcoding.descriptors import DescriptorSet
from libs.transcoding.openapi import About, describe, problem_response
from libs.transcoding.routes import Binding
from services.gateway.answers import Page
from services.gateway.problems import RouteUnknown

_TITLE = "Lockgroove"
_DESCRIPTION = (
    "Ask for an album once, and it arrives exactly once, verified. Send an API key as `X-Api-Key: KEY` or"
    " `Authorization: Bearer KEY`. Errors are `application/problem+json` (RFC 9457)."
)
_PAGES = {"docs.html": "text/html", "docs.js": "text/javascript", "docs.css": "text/css"}
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Description:
    """The endpoints. The document is built when it is first asked for."""

    def __init__(self, descriptors: DescriptorSet, bindings: Sequence[Binding], *, version: str) -> None:
        self._descriptors = descriptors
        self._bindings = bindings
        self._version = version
        self._document: bytes | None = None
        self._pages = files(__package__) / "pages"

    async def document(self, _request: Request) -> Response:
        """`/api/openapi.json`."""
        if self._document is None:
            self._document = jsontext.dumps(self.describe())
        return Page(self._document, media_type="application/json")

    async def docs(self, _request: Request) -> Response:
        """`/api/docs`: a page of our own."""
        return self._page("docs.html")

    async def asset(self, request: Request) -> Response:
        """What the page loads."""
        return self._page(request.path_params["name"])

    async def root(self, request: Request) -> Response:
        """`/`: on to the page."""
        base = request.scope["root_path"]
        return RedirectResponse(f"{base}/api/docs" if base else "api/docs", 307)

    def describe(self) -> dict[str, Any]:
        """The OpenAPI document."""
        about = About(
            title=_TITLE,
            version=self._version,
            description=_DESCRIPTION,
            is_public=lambda method: scope_of(method) == api.PUBLIC,
            paths=_PATHS,
        )
        return describe(self._descriptors, self._bindings, about)

    def _page(self, name: str) -> Response:
        if name not in _PAGES:
            raise RouteUnknown("nothing is served at this path")
        body, headers = (self._pages / name).read_bytes(), {"content-security-policy": _CSP}
        return Page(body, headers=headers, media_type=_PAGES[name])


def _plain(operation_id: str, summary: str, answer: str, media_type: str = "application/json") -> dict[str, Any]:
    response = {"description": answer, "content": {media_type: {"schema": {}}}}
    return {
        "get": {
            "operationId": operation_id,
            "tags": ["Gateway"],
            "summary": summary,
            "security": [],
            "responses": {"200": response, "default": problem_response("An error.")},
        }
    }


_WEBHOOK: dict[str, Any] = {
    "operationId": "Gateway_ReceiveWebhook",
    "tags": ["Gateway"],
    "summary": "Takes a webhook in",
    "description": "Answers once the delivery is stored. Its credential is the one that the source is set up with.",
    "security": [],
    "parameters": [{"name": "source", "in": "path", "required": True, "schema": {"type": "string"}}],
    "requestBody": {"content": {"*/*": {"schema": {}}}},
    "responses": {
        "202": {
            "description": "Stored, now or before.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {"eventId": {"type": "string"}, "duplicate": {"type": "boolean"}},
                        "required": ["eventId", "duplicate"],
                    }
                }
            },
        },
        "default": problem_response("An error."),
    },
}
_CALLBACK = _plain("Gateway_OAuthCallback", "Ends the connection of an account", "A page for people.", "text/html")
_CALLBACK["get"]["parameters"] = [
    {"name": "service", "in": "path", "required": True, "schema": {"type": "string"}},
    *(
        {"name": name, "in": "query", "required": False, "schema": {"type": "string"}}
        for name in ("state", "code", "error")
    ),
]
_READY = _plain("Gateway_Ready", "Says whether the suite can work", "It can.")
_READY["get"]["responses"]["503"] = {"description": "It cannot.", "content": {"application/json": {"schema": {}}}}
_PATHS: dict[str, dict[str, Any]] = {
    "/api/webhooks/{source}": {"post": _WEBHOOK},
    "/api/oauth/callback/{service}": _CALLBACK,
    "/api/live": _plain("Gateway_Live", "Says that the gateway answers", "It does."),
    "/api/ready": _READY,
    "/api/health": _plain("Gateway_Health", "Tells how the services are", "Their states."),
    "/api/metrics": _plain("Gateway_Metrics", "Metrics of the whole suite", "For Prometheus.", "text/plain"),
}
