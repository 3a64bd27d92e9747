"""Refreshes tokens, one call at the provider for all who want it, on whichever replica they are.

A refresh that was claimed goes on to its end, whoever has stopped waiting: between the answer of the provider, which
may have rotated the refresh token, and our commit lies the one moment in which a crash costs the user a new
authorization.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from libs.clock import Clock
from libs.crypto import Tampered, WrongKey
from libs.sql.errors import DatabaseUnavailable, StorageFull
from libs.telemetry.logger import get_logger
from services.config.domain.grants import Grant, NotGrantedError
from services.config.domain.oauth import (
    INVALID_GRANT,
    NoRefreshToken,
    Owner,
    RefreshFailed,
    RefreshRateLimited,
    Token,
    TokenState,
    failed,
    refused,
)
from services.config.domain.providers import ProviderNotConfigured, Providers
from services.config.oauth.accounts import SECONDS, Accounts
from services.config.oauth.metrics import OAuthMetrics
from services.config.oauth.refreshes import Claim, SqlRefreshes
from services.config.oauth.store import SqlTokens

log = get_logger()

_LOOK = 0.1  # seconds between looks at what another replica does
_WORTH = 3.0  # seconds that a better token is waited for
_PATIENCE = 600.0  # seconds that an answer of the provider is held for a database that is away, to everybody
_AGAIN = 0.5
_GOODBYE = SECONDS + 2  # seconds for refreshes that are under way at the end


class Refresher:
    """The only caller of providers' refreshes in this process."""

    def __init__(
        self,
        tokens: SqlTokens,
        refreshes: SqlRefreshes,
        accounts: Accounts,
        *,
        providers: Providers,
        metrics: OAuthMetrics,
        clock: Clock,
    ) -> None:
        self._tokens = tokens
        self._refreshes = refreshes
        self._accounts = accounts
        self._providers = providers
        self._metrics = metrics
        self._clock = clock
        self._flights: dict[Owner, asyncio.Task[Token]] = {}

    async def refresh(self, seen: Token) -> Token:
        """How the tokens stand after a refresh that came later than what was seen: ours, or that of somebody else.

        Raises RefreshFailed, RefreshRefused, RefreshRateLimited, NoRefreshToken, ProviderNotConfigured.
        """
        flight = self._flights.get(seen.owner)
        if flight is None:
            flight = self._flights[seen.owner] = asyncio.create_task(self._until_refreshed(seen))
            flight.add_done_callback(lambda task: self._landed(seen.owner, task))
        return await asyncio.shield(flight)

    async def usable(self, owner: Owner) -> Token:
        """Tokens that are good for some minutes; for less, where the provider does not refresh them just now."""
        token = await self._tokens.get(owner)
        if token.is_worth_giving:
            return token
        still_good = token.good_for(timedelta())
        try:
            async with asyncio.timeout(_WORTH if still_good else None):
                return await self.refresh(token)
        except (RefreshFailed, RefreshRateLimited, NoRefreshToken, ProviderNotConfigured, TimeoutError):
            if not still_good:
                raise
            return token

    async def aclose(self) -> None:
        """Lets refreshes come to their ends, within limits."""
        if self._flights:
            await asyncio.wait(self._flights.values(), timeout=_GOODBYE)

    def _landed(self, owner: Owner, flight: "asyncio.Task[Token]") -> None:
        del self._flights[owner]
        if not flight.cancelled():
            flight.exception()  # told to whoever still waits, and else nobody's

    async def _until_refreshed(self, seen: Token) -> Token:
        while True:
            token = await self._tokens.get(seen.owner)
            if not token.same_grant(seen):
                return token
            if token.is_busy:
                await self._left_to_another(token)
                continue
            self._accounts.client(self._providers.get(token.owner.provider))
            claim = await self._refreshes.claim(token)
            if claim is not None:
                await self._carry_out(claim)

    async def _left_to_another(self, busy: Token) -> None:
        """Returns when it refreshed them, left its lease behind, or they were taken back; raises when it failed."""
        token = busy
        while token.is_busy:
            await asyncio.sleep(_LOOK)
            token = await self._tokens.get(busy.owner)
            busy = token if token.is_busy else busy
        if token.version == busy.version or not token.same_grant(busy) or token.state is TokenState.REVOKED:
            return
        raise refused(token) if token.state is TokenState.FAILED else failed(token)

    async def _carry_out(self, claim: Claim) -> None:
        asked = self._clock.monotonic()
        try:
            grant = await self._asked(claim)
        except NotGrantedError as why:
            await self._note_failure(claim, why)
            return
        age = timedelta(seconds=self._clock.monotonic() - asked)
        await self._note(claim, "refreshed", lambda: self._refreshes.succeeded(claim, grant, age=age))

    async def _asked(self, claim: Claim) -> Grant:
        provider = self._providers.get(claim.token.owner.provider)
        try:
            return await self._accounts.refresh(provider, await self._refreshes.open(claim))
        except (WrongKey, Tampered) as error:
            raise NotGrantedError("unreadable_token", silent=True) from error
        except ProviderNotConfigured as error:  # since we looked
            raise NotGrantedError("not_configured", silent=True) from error

    async def _note_failure(self, claim: Claim, why: NotGrantedError) -> None:
        final = why.word == INVALID_GRANT
        kept = await self._note(
            claim, "refused" if final else "failed", lambda: self._refreshes.failed(claim, why), error=why.word
        )
        if kept:
            token = await self._tokens.get(claim.token.owner)
            raise refused(token) if final else failed(token)

    async def _note(self, claim: Claim, outcome: str, keep: Callable[[], Awaitable[bool]], **more: str) -> bool:
        """Keeps how it ended, unless the claim was lost. An answer may never come again: the database is waited for."""
        owner, given_up = claim.token.owner, self._clock.monotonic() + _PATIENCE
        while True:
            try:
                kept = await keep()
                break
            except (DatabaseUnavailable, StorageFull):
                if self._clock.monotonic() > given_up:
                    raise
                await asyncio.sleep(_AGAIN)
        outcome = outcome if kept else "lost"
        self._metrics.ended(owner.provider, outcome)
        log.info(f"oauth.{outcome}", provider=owner.provider, user=owner.user, **more)
        return kept
