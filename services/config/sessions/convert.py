"""Sessions and tickets between the domain and the protos."""

from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from lockgroove.config.v1 import sessions_pb2 as pb

from libs.errors import InvalidArgument
from libs.rpc.timestamps import timestamp
from services.config.domain.sessions import BrowserSession, Ticket

_COLLECTION = "sessions/"


def session_id(name: str) -> str:
    """The id in `sessions/{session}`; raises InvalidArgument."""
    if not name.startswith(_COLLECTION):
        raise InvalidArgument.field("name", "must be sessions/{session}")
    return name.removeprefix(_COLLECTION)


def session_to_pb(session: BrowserSession, *, now: datetime) -> pb.Session:
    """The session as callers see it."""
    return pb.Session(
        name=f"{_COLLECTION}{session.id}",
        user=session.user,
        key=f"keys/{session.key_id}" if session.key_id else "",
        user_agent=session.user_agent,
        state=pb.Session.OPEN if session.is_open(now) else pb.Session.ENDED,
        create_time=timestamp(session.created_at),
        expire_time=timestamp(session.expires_at),
        end_time=timestamp(session.ended_at),
        update_time=timestamp(session.updated_at),
        etag=session.etag,
    )


def ticket_to_pb(ticket: Ticket) -> pb.Ticket:
    """The ticket as its holder gets it."""
    return pb.Ticket(ticket=ticket.text, expire_time=timestamp(ticket.expires_at))


def lifetime_of(text: str) -> timedelta:
    """The setting `gateway.session_lifetime`, which was checked when it was set."""
    duration = Duration()
    duration.FromJsonString(text)
    return duration.ToTimedelta()
