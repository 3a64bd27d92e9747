"""Accounts at providers, put together."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lockgroove.config.v1 import oauth_pb2 as pb
from lockgroove.config.v1 import oauth_pb2_grpc as rpc
from sqlalchemy import ColumnElement

from libs.rpc.server import Server
from libs.service import Loop
from services.config.domain.providers import SPOTIFY, Provider, Providers
from services.config.ground import Ground
from services.config.oauth.accounts import Accounts
from services.config.oauth.authorizations import SqlAuthorizations
from services.config.oauth.authorizer import Authorizer
from services.config.oauth.metrics import OAuthMetrics
from services.config.oauth.refresher import Refresher
from services.config.oauth.refreshes import SqlRefreshes
from services.config.oauth.revoker import Revoker
from services.config.oauth.servicer import OAuthServicer
from services.config.oauth.store import SqlTokens
from services.config.oauth.worker import OAuthUpkeep

SERVICE = pb.DESCRIPTOR.services_by_name["OAuthService"].full_name
PROVIDERS = (SPOTIFY,)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthSlice:
    """What others need of it: the API, the loop behind it, and how often refreshes failed for a user."""

    tokens: SqlTokens
    servicer: OAuthServicer
    upkeep: OAuthUpkeep

    @property
    def loops(self) -> Sequence[Loop]:
        """What runs beside the server."""
        return [self.upkeep.run]

    def serve(self, server: Server) -> None:
        """Adds OAuthService to a server."""
        server.add(self.servicer, rpc.add_OAuthServiceServicer_to_server, SERVICE)

    async def recent_failures(self, user: str, since: datetime) -> int:
        """How many refreshes failed for a user since then, at all providers."""
        return await self.tokens.recent_failures(user, since)


def make_oauth(
    ground: Ground,
    *,
    settings: Callable[[], Mapping[str, str]],
    known: Sequence[Provider] = PROVIDERS,
    now: ColumnElement[int] | None = None,
) -> OAuthSlice:
    """Wires the slice; `settings` are those in force, by path, and `now` is the database's clock, except in tests."""
    providers, metrics = Providers(known), OAuthMetrics(ground.telemetry.metrics)
    tokens = SqlTokens(ground.database, ground.safe, pages=ground.tokens, now=now)
    authorizations = SqlAuthorizations(ground.database, ground.safe, now=now)
    refreshes = SqlRefreshes(ground.database, ground.safe, now=now)
    accounts = Accounts(settings, tracer=ground.telemetry.tracer)
    authorizer = Authorizer(
        authorizations,
        tokens,
        accounts,
        providers=providers,
        public=lambda: settings().get("webhooks.public_url") or ground.gateway,
        random=os.urandom,
        clock=ground.clock,
    )
    refresher = Refresher(tokens, refreshes, accounts, providers=providers, metrics=metrics, clock=ground.clock)
    revoker = Revoker(tokens, accounts, ground.safe, providers=providers)
    servicer = OAuthServicer(tokens, authorizer, refresher, revoker, accounts, providers=providers)
    upkeep = OAuthUpkeep(tokens, refresher, accounts, providers=providers, metrics=metrics)
    return OAuthSlice(tokens=tokens, servicer=servicer, upkeep=upkeep)
