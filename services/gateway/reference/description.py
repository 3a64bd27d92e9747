"""`/api/openapi.json` and the page that shows it: made of the descriptors, nothing from other hosts."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from libs.transcoding import jsontext
from libs.transcoding.descriptors import DescriptorSet
from libs.transcoding.openapi import About, describe
from libs.transcoding.routes import Binding
from services.gateway.http.answers import Page
from services.gateway.http.problems import RouteUnknown
from services.gateway.reference.components import components
from services.gateway.reference.examples import EXAMPLES
from services.gateway.reference.operations import added
from services.gateway.reference.pages import PATHS, SCHEMAS, TAGS

_REMEMBERED = 4  # documents: there is one base path, and none
_TITLE = "Lockgroove"
_DESCRIPTION = (
    "Ask for an album once, and it arrives exactly once, verified. Send an API key as `X-Api-Key: KEY` or"
    " `Authorization: Bearer KEY`; pages sign in with `POST /api/session` and send its `csrfToken` as `X-CSRF-Token`."
    " Each operation names the scope that a key must have. Errors are `application/problem+json` (RFC 9457)."
)
_SCRIPTS = ("docs.js", "schema.js", "credential.js", "trial.js")
_PAGES = {"docs.html": "text/html", "docs.css": "text/css", **dict.fromkeys(_SCRIPTS, "text/javascript")}
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
        self._documents: dict[str, bytes] = {}  # by base path
        self._pages = files("services.gateway") / "pages"

    @property
    def routes(self) -> list[BaseRoute]:
        """Where they are."""
        return [
            Route("/", self.root),
            Route("/api/openapi.json", self.document),
            Route("/api/docs", self.docs),
            Route("/api/docs/{name}", self.asset),
        ]

    async def document(self, request: Request) -> Response:
        """`/api/openapi.json`, for whoever reads it below the base path that he came by."""
        base = request.scope.get("root_path", "")
        if base not in self._documents:
            if len(self._documents) >= _REMEMBERED:  # a proxy that is trusted may hand on what anybody sends it
                self._documents.clear()
            self._documents[base] = jsontext.dumps({**self.describe(), "servers": [{"url": base or "/"}]})
        return Page(self._documents[base], media_type="application/json")

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
        """The OpenAPI document, without its servers."""
        shared = components()
        about = About(
            title=_TITLE,
            version=self._version,
            description=_DESCRIPTION,
            added=added,
            paths=PATHS,
            tags=TAGS,
            examples=EXAMPLES,
            components={**shared, "schemas": SCHEMAS},
        )
        return describe(self._descriptors, self._bindings, about)

    def _page(self, name: str) -> Response:
        if name not in _PAGES:
            raise RouteUnknown("nothing is served at this path")
        body, headers = (self._pages / name).read_bytes(), {"content-security-policy": _CSP}
        return Page(body, headers=headers, media_type=_PAGES[name])
