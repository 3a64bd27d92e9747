"""Replicas of the slice over one database, a clock that moves when told, and a suite with browsers before it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import sessions_pb2 as pb

from libs import ids
from libs.cleanup.metrics import CleanupMetrics
from libs.cleanup.run import Run
from libs.clock import ManualClock
from libs.rpc import context as call
from libs.rpc.principal import Principal
from libs.rpc.sessions import Session, SessionSeal
from libs.sql.engine import Database
from libs.sql.migrations import migrate
from libs.sql.paging import PageTokens
from libs.telemetry.metrics import Metrics
from services.config import migrations
from services.config.domain.keys import ApiKey, digest_of
from services.config.keys.store import SqlKeyStore
from services.config.sessions.keeper import Means, SessionKeeper
from services.config.sessions.servicer import SessionServicer
from services.config.sessions.store import SqlSessionStore
from services.config.upkeep.removal import expiring, removers
from tests.integration.keys.conftest import world

__all__ = ["world"]

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SEAL = SessionSeal(["lgs_suite"])
ADMIN = ApiKey(title="LOCKGROOVE_ADMIN_KEY", digest=digest_of("given"), scopes=("ADMIN",))
ANN = ApiKey(id="key-1", title="phone", user="ann", digest=digest_of("ann"), scopes=("READ",))
BOB = ApiKey(id="key-2", title="laptop", user="bob", digest=digest_of("bob"), scopes=("READ",))
NO_CONTEXT = cast(Any, None)  # handlers are not interested in it


@dataclass
class House:
    """What replicas share; `changed` counts how often services were to be told."""

    database: Database
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    keys: list[ApiKey] = field(default_factory=lambda: [ADMIN, ANN, BOB])
    changed: list[None] = field(default_factory=list)
    chance: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    @property
    def store(self) -> SqlSessionStore:
        return SqlSessionStore(self.database, tokens=PageTokens(b"k" * 32))

    async def clean(self) -> None:
        """Removes what is over."""
        every = [
            *removers(
                self.database,
                SqlKeyStore(self.database, tokens=PageTokens(b"k" * 32), given=False),
                changed=lambda: None,
            )
        ]
        every += expiring(self.database)
        await Run(every, counts=CleanupMetrics(Metrics(), []), clock=self.clock).make(self.clock.now())

    def replica(self) -> SessionServicer:
        means = Means(
            new_id=ids.new,
            random=lambda size: next(self.chance).to_bytes(size),
            keys_in_force=lambda: self.keys,
            lifetime=lambda: timedelta(days=7),
        )
        keeper = SessionKeeper(self.store, SEAL, means, clock=self.clock, changed=lambda: self.changed.append(None))
        return SessionServicer(keeper, clock=self.clock)

    async def sign_in(self, key: ApiKey = ANN) -> tuple[pb.Session, Session]:
        """The session as people see it, and what its credential says."""
        made = await self.replica().SignIn(pb.SignInRequest(key=key.id, user_agent="Firefox"), NO_CONTEXT)
        session = SEAL.opened(made.credential)
        assert session is not None
        return made.session, session

    async def ticket(self, key: ApiKey = ANN, *, session: str = "") -> str:
        with acting(key, session=session):
            return (await self.replica().IssueTicket(pb.IssueTicketRequest(), NO_CONTEXT)).ticket

    async def redeem(self, ticket: str) -> Session | None:
        answer = await self.replica().RedeemTicket(pb.RedeemTicketRequest(ticket=ticket), NO_CONTEXT)
        return SEAL.opened(answer.credential)

    async def listed(self, key: ApiKey) -> list[str]:
        with acting(key):
            answer = await self.replica().ListSessions(pb.ListSessionsRequest(), NO_CONTEXT)
        return [each.name for each in answer.sessions]

    async def end(self, name: str, key: ApiKey) -> pb.Session:
        with acting(key):
            return await self.replica().EndSession(pb.EndSessionRequest(name=name), NO_CONTEXT)

    async def ended(self) -> list[str]:
        return [f"sessions/{each.id}" for each in await self.store.ended(self.clock.now())]


@contextmanager
def acting(key: ApiKey, *, session: str = "") -> Iterator[None]:
    """As who holds the key."""
    scopes = frozenset(api.Scope.Value(scope) for scope in key.scopes)
    principal = Principal(name=key.user or key.title, scopes=scopes, key=key.id, session=session)
    token = call.principal.set(principal)
    try:
        yield
    finally:
        call.principal.reset(token)


@pytest.fixture
async def house(database: Database) -> House:
    await migrate(database, package=migrations.__name__, head=migrations.HEAD)
    return House(database)
