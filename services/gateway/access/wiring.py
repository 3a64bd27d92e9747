"""Who calls, put together: keys, cookies of browsers, tickets, and the pages where browsers come in."""

from collections.abc import Callable
from dataclasses import dataclass

from lockgroove.config.v1.oauth_pb2_grpc import OAuthServiceStub
from lockgroove.config.v1.sessions_pb2_grpc import SessionServiceStub
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Scope

from libs.rpc.sessions import SessionSeal
from services.gateway.access.browsers import Browsers
from services.gateway.access.callers import Callers
from services.gateway.access.oauth import CallbackPage
from services.gateway.access.sessions import SessionPages
from services.gateway.access.tickets import Tickets
from services.gateway.ground import Ground

_CONFIG = "lockgroove.config.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What tells callers apart, and the pages that make browsers callers."""

    ground: Ground
    seal: SessionSeal
    browsers: Browsers

    @property
    def routes(self) -> list[BaseRoute]:
        """The pages."""
        trusted = SessionServiceStub(self.ground.trusted["config"])
        sessions = SessionPages(
            trusted,
            SessionServiceStub(self.ground.callers[_CONFIG]),
            authenticator=self.ground.authenticator,
            browsers=self.browsers,
            clock=self.ground.clock,
        )
        callback = CallbackPage(OAuthServiceStub(self.ground.callers[_CONFIG]))
        return [
            Route("/api/oauth/callback/{service}", callback.answer),
            Route("/api/session", sessions.answer, methods=["GET", "POST", "DELETE"]),
        ]

    def layer(self, app: ASGIApp, *, is_stream: Callable[[Scope], bool]) -> Callers:
        """The layer that finds out who calls."""
        stub = SessionServiceStub(self.ground.trusted["config"])
        tickets = Tickets(stub, self.seal, is_stream=is_stream)
        return Callers(app, self.ground.authenticator, browsers=self.browsers, tickets=tickets)


def make_access(ground: Ground) -> Access:
    """Wires the slice."""
    seal = SessionSeal(ground.roots.service_tokens)
    return Access(ground=ground, seal=seal, browsers=Browsers(seal))
