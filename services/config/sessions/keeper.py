"""Use cases of sessions and tickets: credentials are made here, go straight to the caller, and are kept nowhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lockgroove.api.v1 import annotations_pb2 as api

from libs.clock import Clock
from libs.rpc.auth import handle_of
from libs.rpc.principal import Principal
from libs.rpc.sessions import Session, SessionSeal, TicketUnusable
from libs.telemetry.logger import get_logger
from services.config.domain.keys import ApiKey
from services.config.domain.sessions import (
    TICKET_LIFETIME,
    BrowserSession,
    KeyNotInForce,
    Passage,
    Ticket,
    TicketNeedless,
)
from services.config.sessions.store import SqlSessionStore

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session with what proves it."""

    session: BrowserSession
    credential: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What it is made from: ids, chance, the keys in force, and how long a session lasts now."""

    new_id: Callable[[str], str]
    random: Callable[[int], bytes]
    keys_in_force: Callable[[], Sequence[ApiKey]]
    lifetime: Callable[[], timedelta]


class SessionKeeper:
    """Signs browsers in and out, and lets streams in by tickets. `changed` says that services have to be told."""

    def __init__(
        self, store: SqlSessionStore, seal: SessionSeal, means: Means, *, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self._store = store
        self._seal = seal
        self._means = means
        self._clock = clock
        self._changed = changed

    async def sign_in(self, key_id: str, user_agent: str) -> SignedIn:
        """A new session for who showed this key; raises KeyNotInForce, TooManySessions."""
        now, key = self._now(), self._key(key_id)
        session = BrowserSession(
            id=self._means.new_id("ses"),
            handle=handle_of(key.id, key.digest),
            key_id=key.id,
            user=key.user or key.title,
            user_agent=user_agent,
            created_at=now,
            expires_at=self._end(key, now),
        )
        await self._store.create(session, now=now)
        log.info("session.begun", session=session.id, user=session.user, key=key.id)
        signed = Session(id=session.id, key=session.handle, expires_at=session.expires_at)
        return SignedIn(session=session, credential=self._seal.sealed(signed))

    async def page(self, caller: Principal, *, size: int, token: str) -> tuple[list[BrowserSession], str]:
        """A page of the sessions that are open, and the token of the next; raises InvalidArgument."""
        now = self._now()
        handles = [handle_of(key.id, key.digest) for key in self._means.keys_in_force() if _is_good(key, now)]
        return await self._store.page(_owner(caller), handles, now=now, size=size, token=token)

    async def end(self, session_id: str, caller: Principal) -> BrowserSession:
        """The session, signed out; raises SessionNotFound."""
        now = self._now()
        session = await self._store.end(session_id, _owner(caller), now=now)
        if session.ended_at == now:  # else it was so already
            self._changed()
            log.info("session.ended", session=session.id, user=session.user, actor=caller.name)
        return session

    async def issue(self, caller: Principal) -> Ticket:
        """A ticket for who calls; raises TicketNeedless, KeyNotInForce, SessionNotFound."""
        if api.INTERNAL in caller.scopes:
            raise TicketNeedless("services of the suite send their token")
        now = self._now()
        ticket = Ticket(text=self._seal.ticket(self._means.random), expires_at=now + TICKET_LIFETIME)
        await self._store.keep_ticket(ticket, await self._passage(caller, now))
        return ticket

    async def redeem(self, ticket: str) -> str:
        """The credential that a ticket stands for, once; raises TicketUnusable."""
        if not self._seal.is_ticket(ticket):
            raise TicketUnusable
        passage = await self._store.take_ticket(ticket, now=self._now())
        return self._seal.sealed(Session(id=passage.session_id, key=passage.handle, expires_at=passage.expires_at))

    async def _passage(self, caller: Principal, now: datetime) -> Passage:
        """A stream of a session ends with it; one of a key itself may last as long as a session that begins now."""
        if caller.session:
            session = await self._store.get(caller.session)
            return Passage(session_id=session.id, handle=session.handle, expires_at=session.expires_at)
        key = self._key(caller.key)
        handle = handle_of(key.id, key.digest)
        return Passage(session_id=self._means.new_id("stream"), handle=handle, expires_at=self._end(key, now))

    def _key(self, key_id: str) -> ApiKey:
        now = self._now()
        for key in self._means.keys_in_force():
            if key.id == key_id and _is_good(key, now):
                return key
        raise KeyNotInForce("the API key is not valid: nobody holds it, or it was taken back")

    def _end(self, key: ApiKey, now: datetime) -> datetime:
        end = now + self._means.lifetime()
        return end if key.expires_at is None else min(end, key.expires_at)

    def _now(self) -> datetime:
        """To the millisecond, as it is kept."""
        now = self._clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _is_good(key: ApiKey, now: datetime) -> bool:
    return key.expires_at is None or now < key.expires_at


def _owner(caller: Principal) -> str | None:
    """Whose sessions the caller may have to do with; None for everybody's."""
    return None if caller.may(api.ADMIN) else caller.name
