"""SessionService: translate, call, translate."""

from typing import Any

from grpc.aio import ServicerContext
from lockgroove.config.v1 import sessions_pb2 as pb
from lockgroove.config.v1 import sessions_pb2_grpc as rpc

from libs.clock import Clock
from libs.rpc import context as call
from services.config.domain.sessions import BrowserSession
from services.config.sessions import convert
from services.config.sessions.keeper import SessionKeeper

Context = ServicerContext[Any, Any]


class SessionServicer(rpc.SessionServiceServicer):
    """The API of sessions. Everybody has to do with his own; those of others need the scope ADMIN."""

    def __init__(self, keeper: SessionKeeper, *, clock: Clock) -> None:
        self._keeper = keeper
        self._clock = clock

    async def SignIn(self, request: pb.SignInRequest, context: Context) -> pb.SignInResponse:
        made = await self._keeper.sign_in(request.key, request.user_agent)
        return pb.SignInResponse(session=self._shown(made.session), credential=made.credential)

    async def ListSessions(self, request: pb.ListSessionsRequest, context: Context) -> pb.ListSessionsResponse:
        caller = call.principal.get()
        found, token = await self._keeper.page(caller, size=request.page_size, token=request.page_token)
        return pb.ListSessionsResponse(sessions=map(self._shown, found), next_page_token=token)

    async def EndSession(self, request: pb.EndSessionRequest, context: Context) -> pb.Session:
        return self._shown(await self._keeper.end(convert.session_id(request.name), call.principal.get()))

    async def IssueTicket(self, request: pb.IssueTicketRequest, context: Context) -> pb.Ticket:
        return convert.ticket_to_pb(await self._keeper.issue(call.principal.get()))

    async def RedeemTicket(self, request: pb.RedeemTicketRequest, context: Context) -> pb.RedeemTicketResponse:
        return pb.RedeemTicketResponse(credential=await self._keeper.redeem(request.ticket))

    def _shown(self, session: BrowserSession) -> pb.Session:
        return convert.session_to_pb(session, now=self._clock.now())
