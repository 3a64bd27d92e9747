"""`?ticket=…`: how an EventSource, which can send no headers, opens a stream for the holder of a key.

A ticket is good once. It is taken out of the query before anybody else sees it. Whoever comes with one is known, and
counted, only when it was looked at: so one that was used already must not be looked at again.
"""

from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from lockgroove.config.v1 import sessions_pb2 as pb
from lockgroove.config.v1 import sessions_pb2_grpc as rpc
from starlette.types import Scope

from libs.errors import InvalidArgument, Unauthenticated
from libs.rpc.sessions import SessionSeal, TicketUnusable

_TICKET = b"ticket="
_REMEMBERED = 1024  # tickets that were used here


class Tickets:
    """Takes tickets in. `is_stream` says which requests may come with one."""

    def __init__(self, stub: rpc.SessionServiceStub, seal: SessionSeal, *, is_stream: Callable[[Scope], bool]) -> None:
        self._stub = stub
        self._seal = seal
        self._is_stream = is_stream
        self._used: dict[str, None] = {}

    async def credential(self, scope: Scope) -> str | None:
        """What the ticket of this request stands for; None where it has none. Raises InvalidArgument, TicketUnusable.

        In the query of anything but a stream it stays what it is: a parameter that nobody knows.
        """
        if _TICKET not in scope["query_string"] or scope["method"] != "GET":
            return None
        pairs = scope["query_string"].split(b"&")
        sent = [pair for pair in pairs if pair.startswith(_TICKET)]
        if not sent or not self._is_stream(scope):
            return None
        if len(sent) > 1:
            raise InvalidArgument.field("ticket", "may be given once")
        scope["query_string"] = b"&".join(pair for pair in pairs if pair is not sent[0])
        ticket = unquote_to_bytes(sent[0].removeprefix(_TICKET)).decode("latin-1")
        if ticket in self._used or not self._seal.is_ticket(ticket):  # whoever makes them up keeps no service busy
            raise TicketUnusable
        try:
            answer = await self._stub.RedeemTicket(pb.RedeemTicketRequest(ticket=ticket))
        except Unauthenticated:
            self._remember(ticket)
            raise
        self._remember(ticket)
        return answer.credential

    def _remember(self, ticket: str) -> None:
        self._used[ticket] = None
        if len(self._used) > _REMEMBERED:
            del self._used[next(iter(self._used))]
