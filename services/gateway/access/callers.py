"""Who calls, found out once a request: what may be limited early, and what services get to see of the caller.

A caller shows an API key in a header, or else the cookie of a session, or a ticket for a stream. Services are the ones
that let in or refuse; a wrong credential is noted here and refused there, where the method needs one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from starlette.types import ASGIApp, Receive, Scope, Send

from libs.errors import AppError
from libs.rpc.auth import Authenticator, CredentialInvalid, credential_of
from libs.rpc.principal import ANONYMOUS, Principal
from libs.rpc.sessions import Session
from services.gateway.access.browsers import Browsers, cookie_name, cookies
from services.gateway.access.tickets import Tickets

Metadata = tuple[tuple[str, str], ...]

CALLER = "lockgroove.caller"  # in the scope
SIGN_IN = ("POST", "/api/session")

_COOKIE = "cookie"
_HEADERS = {b"authorization": "authorization", b"x-api-key": "x-api-key", b"cookie": _COOKIE}
_LONGEST_CREDENTIAL = 4096
_INTAKE = "/api/webhooks/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, as far as the gateway can tell, and what services get of his headers.

    `principal` is ANONYMOUS where nobody says who he is, and with a `refusal` where he says it wrongly or nobody can
    tell yet, before the first snapshot. `session` is the one of a cookie.
    """

    principal: Principal = ANONYMOUS
    metadata: Metadata = ()
    session: Session | None = None
    refusal: AppError | None = None

    @property
    def invalid(self) -> CredentialInvalid | None:
        """What is wrong with a key that nobody holds: somebody may be guessing. What has ended is no guess."""
        return self.refusal if isinstance(self.refusal, CredentialInvalid) else None

    def identified(self) -> Principal:
        """The principal, for what must be the same with each of his calls. Raises why nobody can tell who it is."""
        if self.refusal is not None:
            raise self.refusal
        return self.principal

    def credentials(self) -> Metadata:
        """The metadata, for a call that carries it. Raises CredentialInvalid for a header that no metadata can hold."""
        if self.invalid is not None and not self.metadata:
            raise self.invalid
        return self.metadata


NOBODY = Caller()


def caller_of(scope: Scope) -> Caller:
    """Who makes the request of this scope."""
    return cast("Caller", scope[CALLER])


class Callers:
    """The layer that tells all inner ones who calls."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator, *, browsers: Browsers, tickets: Tickets) -> None:
        self._app = app
        self._authenticator = authenticator
        self._browsers = browsers
        self._tickets = tickets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises what is wrong with a ticket, or with a cookie on a request that changes things."""
        scope[CALLER] = NOBODY if _is_delivery(scope) else await self._caller(scope)
        await self._app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller:
        if (credential := await self._tickets.credential(scope)) is not None:
            return self._bearer(credential)
        sent = _sent(scope)
        cookie = sent.pop(_COOKIE, "")
        if cookie and credential_of(sent) is None and (scope["method"], scope["path"]) != SIGN_IN:
            return self._of_browser(scope, cookie) or self._of_headers(sent)
        return self._of_headers(sent)

    def _of_browser(self, scope: Scope, cookie: str) -> Caller | None:
        """Who is signed in; None where the header holds no cookie of ours."""
        for credential in cookies(cookie, cookie_name(scope)):
            if (session := self._browsers.session(credential)) is not None:
                self._browsers.check(scope, session)
                return self._bearer(credential, session)
        return None

    def _bearer(self, credential: str, session: Session | None = None) -> Caller:
        sent = {"authorization": f"Bearer {credential}"}
        principal, refusal = self._principal(sent)
        return Caller(principal=principal, metadata=tuple(sent.items()), session=session, refusal=refusal)

    def _of_headers(self, sent: Mapping[str, str]) -> Caller:
        for name, value in sent.items():
            if len(value) > _LONGEST_CREDENTIAL or not (value.isascii() and value.isprintable()):
                text = f"the header {name} holds no API key: nobody has such a key"
                return Caller(refusal=CredentialInvalid(text))
        if not sent:
            return NOBODY
        principal, refusal = self._principal(sent)
        return Caller(principal=principal, metadata=tuple(sent.items()), refusal=refusal)

    def _principal(self, sent: Mapping[str, str]) -> tuple[Principal, AppError | None]:
        try:
            return self._authenticator.authenticate(sent), None
        except AppError as error:  # also: none was sent, it has ended, or there are no keys yet
            return ANONYMOUS, error


def _is_delivery(scope: Scope) -> bool:
    """Whether it is a webhook: what its headers hold is its source's affair, and no credential of ours."""
    return scope["method"] == "POST" and str(scope["path"]).startswith(_INTAKE)


def _sent(scope: Scope) -> dict[str, str]:
    """The headers that may hold a credential; of one that comes twice the first counts."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name in _HEADERS and value:
            found.setdefault(_HEADERS[name], value.decode("latin-1"))
    return found
