"""`/api/session`: signs the browser that asks in and out, and tells it who it is.

The key comes in a header and never in a body or a form: no page of another origin can make a browser send one without
being asked about, and wrong ones are counted like all others. Whoever signs in gets a new session, whatever he had.
"""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import sessions_pb2 as pb
from lockgroove.config.v1 import sessions_pb2_grpc as rpc
from starlette.requests import Request
from starlette.responses import Response

from libs.clock import Clock
from libs.errors import NotFound, PermissionDenied, Unauthenticated
from libs.rpc.auth import Authenticator, CredentialMissing
from libs.rpc.principal import Principal
from libs.transcoding import jsontext
from services.gateway.access.browsers import Browsers, cookie_name
from services.gateway.access.callers import caller_of

_LONGEST_AGENT = 300
_NOT_STORED = {"cache-control": "no-store"}


class KeyNeeded(PermissionDenied):
    """A session must not prolong itself, and the suite is no browser."""

    reason = "KEY_NEEDED"


class SessionPages:
    """The endpoint. `trusted` is a stub that carries the suite's credential, `own` one that carries the caller's."""

    def __init__(
        self,
        trusted: rpc.SessionServiceStub,
        own: rpc.SessionServiceStub,
        *,
        authenticator: Authenticator,
        browsers: Browsers,
        clock: Clock,
    ) -> None:
        self._trusted = trusted
        self._own = own
        self._authenticator = authenticator
        self._browsers = browsers
        self._clock = clock

    async def answer(self, request: Request) -> Response:
        """Answers GET, POST and DELETE."""
        match request.method:
            case "POST":
                return await self._sign_in(request)
            case "DELETE":
                return await self._sign_out(request)
            case _:
                return self._show(request)

    async def _sign_in(self, request: Request) -> Response:
        """Raises what is wrong with the key, KeyNeeded, or OriginNotAllowed."""
        self._browsers.check_origin(request.scope)
        principal = self._principal(request)
        if principal.session or api.INTERNAL in principal.scopes:
            raise KeyNeeded("signing in takes an API key: X-Api-Key")
        agent = request.headers.get("user-agent", "")[:_LONGEST_AGENT]
        made = await self._trusted.SignIn(pb.SignInRequest(key=principal.key, user_agent=agent))
        ends = made.session.expire_time.ToDatetime(UTC)
        response = self._told(principal, made.session.name.removeprefix("sessions/"), ends)
        response.headers["set-cookie"] = _cookie(request, made.credential, (ends - self._clock.now()).total_seconds())
        return response

    def _show(self, request: Request) -> Response:
        """Raises CredentialMissing without a session, SessionEnded for an old one."""
        session = caller_of(request.scope).session
        if session is None:
            raise CredentialMissing("this browser is not signed in: POST /api/session with an API key")
        return self._told(self._principal(request), session.id, session.expires_at)

    async def _sign_out(self, request: Request) -> Response:
        """Also for who is signed out already: the cookie goes in any case."""
        caller = caller_of(request.scope)
        if caller.session is not None:
            try:
                name = f"sessions/{caller.session.id}"
                await self._own.EndSession(pb.EndSessionRequest(name=name), metadata=caller.metadata)
            except (Unauthenticated, NotFound):  # it has ended
                pass
        return Response(status_code=204, headers=_NOT_STORED | {"set-cookie": _cookie(request, "", 0)})

    def _principal(self, request: Request) -> Principal:
        return self._authenticator.authenticate(dict(caller_of(request.scope).credentials()))

    def _told(self, principal: Principal, session_id: str, ends: datetime) -> Response:
        expire_time = Timestamp()
        expire_time.FromDatetime(ends)
        body = {
            "user": principal.name,
            "scopes": [api.Scope.Name(api.Scope.ValueType(scope)) for scope in sorted(principal.scopes)],
            "expireTime": expire_time.ToJsonString(),
            "csrfToken": self._browsers.csrf_token(session_id),
        }
        return Response(jsontext.dumps(body), headers=_NOT_STORED, media_type="application/json")


def _cookie(request: Request, credential: str, seconds: float) -> str:
    """No script may read it, and no other site's page gets it sent along, except for a link that somebody follows."""
    name, path = cookie_name(request.scope), request.scope.get("root_path") or "/"
    secure = "; Secure" if request.scope["scheme"] == "https" else ""
    return f"{name}={credential}; Path={path}; Max-Age={max(0, int(seconds))}; HttpOnly; SameSite=Lax{secure}"
