"""Sessions of browsers, which act for the holder of a key, and tickets, each of which opens one stream.

OPEN -- signed out, or its end comes, or its key's --> ENDED
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from libs.errors import NotFound, PermissionDenied, ResourceExhausted, Unauthenticated

MOST_SESSIONS = 1000  # of a user before their end: every service knows those by heart that were signed out
TICKET_LIFETIME = timedelta(seconds=30)


class SessionNotFound(NotFound):
    """There is no such session, it is somebody else's, or it ended so long ago that it was forgotten."""

    reason = "SESSION_NOT_FOUND"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"there is no session sessions/{session_id}", metadata={"session": f"sessions/{session_id}"})


class TooManySessions(ResourceExhausted):
    """A user has signed in so often that no service could remember it all."""

    reason = "TOO_MANY_SESSIONS"

    def __init__(self) -> None:
        super().__init__(
            f"{MOST_SESSIONS} sessions of this user have not come to their end: programs send the key itself"
        )


class KeyNotInForce(Unauthenticated):
    """Nobody holds the key any more."""

    reason = "CREDENTIAL_INVALID"


class TicketNeedless(PermissionDenied):
    """The suite's own services need no tickets: they have headers."""

    reason = "TICKET_NEEDLESS"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSession:
    """A browser that was signed in. `handle` is how sessions know its key, `key_id` the key's id, where it has one."""

    id: str
    handle: str
    key_id: str
    user: str
    user_agent: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None

    @property
    def updated_at(self) -> datetime:
        """When it changed last."""
        return self.ended_at or self.created_at

    @property
    def etag(self) -> str:
        """Changes when it ends."""
        return '"1"' if self.ended_at is None else '"2"'

    def is_open(self, now: datetime) -> bool:
        """Whether it is good, as far as it is up to itself."""
        return self.ended_at is None and now < self.expires_at

    def ended(self, now: datetime) -> "BrowserSession":
        """Signed out; one that is over stays as it is."""
        return replace(self, ended_at=now) if self.is_open(now) else self


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedSession:
    """A session that was signed out and has not come to its end: services have to be told."""

    id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What a ticket opens: a stream that acts as this session does, for the key of this handle, until then."""

    session_id: str
    handle: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What its holder gets, and until when it has to be used."""

    text: str = field(repr=False)
    expires_at: datetime
