"""A small accounts service of pretence: Spotify's authorization code flow with PKCE (RFC 6749, RFC 7636).

Codes are good once, verifiers are compared, refresh tokens rotate when they are told to, and errors are JSON. As with
the real one, no way to revoke tokens is offered; `revocation` adds RFC 7009, as other providers have it.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from deploy.demo.http_faults import Faults
from deploy.demo.loopback_http import HOST, serving

LIFETIME = 3600  # seconds


@dataclass(frozen=True, slots=True)
class _Code:
    challenge: str
    redirect: str
    scope: str


@dataclass
class SpotifyWorld:
    """An accounts service for as long as the context lasts. Who opens its pages agrees at once, unless `denies`.

    `rotates` says whether a refresh brings a new refresh token, which ends the one before; `answer` is put over what is
    granted. `asked` are the grant types that were asked for, in turn; `given` are all secrets that went over the wire,
    for tests that look for them elsewhere.
    """

    client_id: str = "lockgroove-client"
    client_secret: str = ""
    rotates: bool = False
    denies: str = ""
    revocation: bool = False
    lifetime: int = LIFETIME
    answer: dict[str, Any] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    asked: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    grants: dict[str, str] = field(default_factory=dict)  # scopes by refresh tokens that are good
    _codes: dict[str, _Code] = field(default_factory=dict)
    _listening: AsyncExitStack = field(default_factory=AsyncExitStack)
    _port: int = 0

    @property
    def url(self) -> str:
        """The address, as SPOTIFY_ACCOUNTS_URL wants it."""
        return f"http://{HOST}:{self._port}"

    async def __aenter__(self) -> Self:
        """Listen on a free port of loopback."""
        routes = [
            Route("/authorize", self._authorize),
            Route("/api/token", self.faults.spoiling(self._token), methods=["POST"]),
        ]
        if self.revocation:
            routes.append(Route("/api/revoke", self.faults.spoiling(self._revoke), methods=["POST"]))
        self._port = await self._listening.enter_async_context(serving(Starlette(routes=routes)))
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Stop answering."""
        await self._listening.aclose()

    async def _authorize(self, request: Request) -> Response:
        """The page that a user agrees on: with this one, opening it is agreeing."""
        params = request.query_params
        if params.get("client_id") != self.client_id or not params.get("redirect_uri"):
            return Response("INVALID_CLIENT: Invalid client", 400)
        back = {"state": params.get("state", "")}
        self.given.append(back["state"])
        if self.denies:
            back["error"] = self.denies
        elif params.get("response_type") != "code" or params.get("code_challenge_method") != "S256":
            back["error"] = "invalid_request"
        else:
            back["code"] = self._made()
            self._codes[back["code"]] = _Code(
                params.get("code_challenge", ""), params["redirect_uri"], params.get("scope", "")
            )
        return RedirectResponse(f"{params['redirect_uri']}?{urlencode(back)}", 302)

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        self.asked.append(form.get("grant_type", ""))
        if refusal := self._refused(request, form):
            return refusal
        match form.get("grant_type"):
            case "authorization_code":
                return self._exchanged(form)
            case "refresh_token":
                return self._refreshed(form)
            case _:
                return _error("unsupported_grant_type", "grant_type must be authorization_code or refresh_token")

    def _refused(self, request: Request, form: Mapping[str, str]) -> Response | None:
        authorization = request.headers.get("authorization", "")
        basic = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        if form.get("client_id") != self.client_id or (self.client_secret and authorization != f"Basic {basic}"):
            return _error("invalid_client", "Invalid client")
        return None

    def _exchanged(self, form: Mapping[str, str]) -> Response:
        code = self._codes.pop(form.get("code", ""), None)
        verifier = form.get("code_verifier", "")
        self.given.append(verifier)
        if code is None or form.get("redirect_uri") != code.redirect:
            return _error("invalid_grant", "Invalid authorization code")
        digest = hashlib.sha256(verifier.encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != code.challenge:
            return _error("invalid_grant", "code_verifier was incorrect")
        return self._granted(code.scope, refresh_token=self._kept(code.scope))

    def _refreshed(self, form: Mapping[str, str]) -> Response:
        token = form.get("refresh_token", "")
        scope = self.grants.get(token)
        if scope is None:
            return _error("invalid_grant", "Invalid refresh token")
        if not self.rotates:
            return self._granted(scope)
        del self.grants[token]
        return self._granted(scope, refresh_token=self._kept(scope))

    async def _revoke(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        self.grants.pop(form.get("token", ""), None)
        return Response()  # RFC 7009, 2.2: the same for tokens that nobody holds

    def _granted(self, scope: str, **more: str) -> Response:
        body = {"access_token": self._made(), "token_type": "Bearer", "expires_in": self.lifetime, "scope": scope}
        return JSONResponse(body | more | self.answer, headers={"Cache-Control": "no-store"})

    def _kept(self, scope: str) -> str:
        token = self._made()
        self.grants[token] = scope
        return token

    def _made(self) -> str:
        """A secret: of those that go over the wire, all are noted."""
        secret = secrets.token_urlsafe(32)
        self.given.append(secret)
        return secret


def _error(word: str, description: str) -> Response:
    return JSONResponse({"error": word, "error_description": description}, 400)
