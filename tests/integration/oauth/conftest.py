"""Replicas of the slice over one database, a pretended Spotify, and a clock that moves when told."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import oauth_pb2 as pb

from deploy.demo.spotify.world import SpotifyWorld
from libs.clock import SystemClock
from libs.crypto import RootKeys
from libs.crypto.safe import Safe, open_safe
from libs.rpc import context as call
from libs.rpc.principal import Principal
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.telemetry import Telemetry
from services.config.domain.oauth import Owner
from services.config.domain.providers import SPOTIFY, Provider
from services.config.ground import Ground
from services.config.oauth.refreshes import SqlRefreshes
from services.config.oauth.wiring import OAuthSlice, make_oauth
from services.config.tables import data_key, metadata
from services.config.vault import Vault
from tests.support.database_clock import DatabaseClock
from tests.support.spans import RecordingTracer

GATEWAY = "http://127.0.0.1:3006"
REVOCABLE = replace(SPOTIFY, revoke_path="/api/revoke")
ANN = Owner(provider="spotify", user="ann")
once = pytest.mark.parametrize("dialect", ["sqlite"])  # nothing of it is up to the database
NO_CONTEXT = cast(Any, None)  # handlers are not interested in it


@dataclass
class Replica:
    """One of the processes that share a database: its API, called as the server calls it, and its background pass."""

    slice: OAuthSlice
    telemetry: Telemetry
    spotify: SpotifyWorld

    async def begin(self, user: str = "ann", *, session: str = "") -> dict[str, str]:
        """The query that a provider sends the browser of a user back with."""
        with acting(user, session=session):
            begun = await self.slice.servicer.BeginAuthorization(
                pb.BeginAuthorizationRequest(service="spotify"), NO_CONTEXT
            )
        async with httpx.AsyncClient() as browser:
            answer = await browser.get(begun.authorization_url)
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    async def complete(self, **sent: str) -> pb.TokenStatus:
        request = pb.CompleteAuthorizationRequest(**{"service": "spotify", **sent})
        return await self.slice.servicer.CompleteAuthorization(request, NO_CONTEXT)

    async def connect(self, user: str = "ann") -> pb.TokenStatus:
        return await self.complete(**await self.begin(user))

    async def status(self, user: str = "ann") -> pb.TokenStatus:
        with acting(user):
            return await self.slice.servicer.GetTokenStatus(pb.GetTokenStatusRequest(service="spotify"), NO_CONTEXT)

    async def refresh(self, user: str = "ann") -> pb.TokenStatus:
        with acting(user):
            return await self.slice.servicer.RefreshToken(pb.RefreshTokenRequest(service="spotify"), NO_CONTEXT)

    async def issue(self, user: str = "ann") -> str:
        request = pb.IssueAccessTokenRequest(service="spotify", user_id=user)
        return (await self.slice.servicer.IssueAccessToken(request, NO_CONTEXT)).access_token

    async def revoke(self, user: str = "ann", scope: int = api.REQUEST, **what: Any) -> list[tuple[str, bool]]:
        with acting(user, scope):
            answer = await self.slice.servicer.RevokeTokens(pb.RevokeTokensRequest(**what), NO_CONTEXT)
        return [(each.user_id, each.at_provider) for each in answer.revoked]

    async def pass_once(self) -> None:
        await self.slice.upkeep.run_once()

    def metric(self, name: str, **labels: str) -> float | None:
        return self.telemetry.metrics.registry.get_sample_value(f"lockgroove_{name}", labels)


@dataclass
class House:
    """What replicas share."""

    database: Database
    clock: DatabaseClock
    spotify: SpotifyWorld
    settings: dict[str, str] = field(repr=False)
    tracer: RecordingTracer = field(default_factory=RecordingTracer)

    async def safe(self) -> Safe:
        roots = RootKeys(current=b"oauth-tests-root-key-0123456789-ab")
        return await open_safe(self.database, data_key, roots, lasting={"fingerprints": "f"})

    async def refreshes(self) -> SqlRefreshes:
        """Where a replica keeps its refreshes, for tests of one that ends in the middle."""
        return SqlRefreshes(self.database, await self.safe(), now=self.clock.now)

    async def replica(self, provider: Provider = SPOTIFY) -> Replica:
        safe = await self.safe()
        telemetry = Telemetry("config", tracer=self.tracer)
        ground = Ground(
            telemetry=telemetry,
            clock=SystemClock(),
            database=self.database,
            tokens=PageTokens(b"k" * 32),
            safe=safe,
            vault=Vault(safe),
            acquisition=cast(Any, None),
            webhooks=cast(Any, None),
            gateway=GATEWAY,
            service_tokens=(),
        )
        slice_ = make_oauth(ground, settings=lambda: self.settings, known=[provider], now=self.clock.now)
        return Replica(slice_, telemetry, self.spotify)

    def later(self, **by: float) -> None:
        self.clock.advance(timedelta(**by))


@contextmanager
def acting(user: str, scope: int = api.REQUEST, *, session: str = "") -> Iterator[None]:
    token = call.principal.set(Principal(name=user, scopes=frozenset({scope}), session=session))
    try:
        yield
    finally:
        call.principal.reset(token)


@pytest.fixture
async def spotify() -> AsyncIterator[SpotifyWorld]:
    async with SpotifyWorld() as world:
        yield world


@pytest.fixture
async def house(database: Database, spotify: SpotifyWorld) -> House:
    async with database.writing() as connection:
        await connection.run_sync(metadata.create_all)
    settings = {"spotify.client_id": spotify.client_id, "spotify.accounts_url": spotify.url}
    return House(database, DatabaseClock(), spotify, settings)


@pytest.fixture
async def replica(house: House) -> Replica:
    return await house.replica()
