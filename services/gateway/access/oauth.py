"""`GET /api/oauth/callback/{service}`: where providers send the browsers of users back to.

What comes in the query is good for an account until it is used: it is handed on once, and goes into no log, trace,
metric or page. No other method comes here, HEAD neither: whoever looks a link over would use it up.
"""

from html import escape
from http import HTTPStatus
from importlib.resources import files
from string import Template

from lockgroove.config.v1 import oauth_pb2 as pb
from lockgroove.config.v1 import oauth_pb2_grpc as rpc
from starlette.requests import Request
from starlette.responses import Response

from libs.errors import AppError, Internal
from libs.rpc.errors import INTERNAL_MESSAGE
from services.gateway.access.callers import caller_of
from services.gateway.http.problems import MethodNotAllowed, status_of

_PARAMETERS = ("state", "code", "error")
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
}


class CallbackPage:
    """Ends authorizations: a browser shows the state that it comes with, and the cookie of its session, if any."""

    def __init__(self, stub: rpc.OAuthServiceStub) -> None:
        self._stub = stub
        self._page = Template((files("services.gateway") / "pages" / "oauth.html").read_text())

    async def answer(self, request: Request) -> Response:
        """The endpoint: says how it ended to whoever sits before the browser. Raises MethodNotAllowed."""
        if request.method != "GET":
            raise MethodNotAllowed(["GET"])
        try:
            caller = caller_of(request.scope)
            shown = caller.metadata if caller.session is not None else ()
            token = await self._stub.CompleteAuthorization(_sent_back(request), metadata=shown)
        except AppError as error:
            text = INTERNAL_MESSAGE if isinstance(error, Internal) else error.message
            return self._told("Not connected", f"{text}.", status_of(error))
        return self._told("Connected", f"{token.service} is connected for {token.user_id}. You can close this page.")

    def _told(self, title: str, text: str, status: int = HTTPStatus.OK) -> Response:
        body = self._page.substitute(title=escape(title), text=escape(text))
        return Response(body, status, headers=_HEADERS, media_type="text/html")


def _sent_back(request: Request) -> pb.CompleteAuthorizationRequest:
    """What a provider says; a parameter that comes twice counts as none (RFC 6749, 3.1)."""
    query = request.query_params
    once = {name: query[name] for name in _PARAMETERS if len(query.getlist(name)) == 1}
    return pb.CompleteAuthorizationRequest(service=request.path_params["service"], **once)
