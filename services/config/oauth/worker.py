"""Refreshes tokens ahead of their ends."""

import asyncio
from datetime import timedelta

from libs.errors import AppError, ResourceExhausted, Unavailable
from libs.telemetry.logger import get_logger
from services.config.domain.oauth import Token
from services.config.domain.providers import Providers
from services.config.oauth.accounts import Accounts
from services.config.oauth.metrics import OAuthMetrics
from services.config.oauth.refresher import Refresher
from services.config.oauth.store import SqlTokens

log = get_logger()

_PAUSE = timedelta(seconds=60)
_BATCH = 100
_AT_ONCE = 4


class OAuthUpkeep:
    """The pass that every replica makes; what two of them want to refresh, one does."""

    def __init__(
        self,
        tokens: SqlTokens,
        refresher: Refresher,
        accounts: Accounts,
        *,
        providers: Providers,
        metrics: OAuthMetrics,
    ) -> None:
        self._tokens = tokens
        self._refresher = refresher
        self._accounts = accounts
        self._providers = providers
        self._metrics = metrics
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        """Makes a pass each minute; refreshes that are under way at the end come to theirs."""
        try:
            while True:
                try:
                    await self.run_once()
                except (ResourceExhausted, Unavailable) as error:
                    log.warning("oauth.pass_failed", reason=error.code_reason)
                await asyncio.sleep(_PAUSE.total_seconds())
        finally:
            await self._refresher.aclose()

    async def run_once(self) -> None:
        """One pass."""
        configured = [each.name for each in self._providers.all() if self._accounts.is_configured(each)]
        due = await self._tokens.due(configured, limit=_BATCH)
        await asyncio.gather(*map(self._refresh, due))
        self._metrics.stand(self._providers.all(), await self._tokens.all())

    async def _refresh(self, token: Token) -> None:
        """Failures are kept, counted and logged where they happen; the next pass is another chance."""
        async with self._turn:
            try:
                await self._refresher.refresh(token)
            except AppError as error:
                log.debug("oauth.left", provider=token.owner.provider, reason=error.code_reason)
