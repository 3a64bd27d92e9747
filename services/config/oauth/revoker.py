"""Takes tokens back: at the provider where it offers that, then here."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from libs.crypto import Tampered, WrongKey
from libs.crypto.safe import Safe
from libs.telemetry.logger import get_logger
from services.config.domain.oauth import Owner
from services.config.domain.providers import Provider, ProviderNotConfigured, Providers
from services.config.oauth.accounts import Accounts
from services.config.oauth.contexts import refresh_context
from services.config.oauth.store import Selection, SqlTokens

log = get_logger()

PATIENCE = 5.0  # seconds for providers: callers wait for ten in all, and here tokens end in any case
_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """Whose tokens are good no more, and whether the provider knows."""

    owner: Owner
    at_provider: bool


class Revoker:
    """Asks providers first: a crash in between leaves tokens that the next refresh finds refused."""

    def __init__(
        self,
        tokens: SqlTokens,
        accounts: Accounts,
        safe: Safe,
        *,
        providers: Providers,
        patience: float = PATIENCE,
    ) -> None:
        self._tokens = tokens
        self._accounts = accounts
        self._safe = safe
        self._providers = providers
        self._patience = patience

    async def revoke(self, selection: Selection) -> list[Revoked]:
        """Those that were good until now; raises UnsupportedService, and NoTokensFound for a user without any."""
        if selection.provider:
            self._providers.get(selection.provider)
        told: set[Owner] = set()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                for provider in self._providers.all():
                    if provider.revoke_path and selection.provider in (None, provider.name):
                        await self._tell(provider, selection.user, told)
        owners = await self._tokens.revoke(selection)
        for owner in owners:
            log.info("oauth.revoked", provider=owner.provider, user=owner.user, at_provider=owner in told)
        return [Revoked(owner=owner, at_provider=owner in told) for owner in owners]

    async def _tell(self, provider: Provider, user: str | None, told: set[Owner]) -> None:
        """Tells of some at a time, and notes those of whom the provider knows."""
        turn = asyncio.Semaphore(_AT_ONCE)

        async def tell(owner: Owner, sealed: bytes) -> None:
            async with turn:
                if await self._is_revoked(provider, owner, sealed):
                    told.add(owner)

        held = await self._tokens.refresh_tokens(Selection(provider=provider.name, user=user))
        await asyncio.gather(*(tell(owner, sealed) for owner, sealed in held))

    async def _is_revoked(self, provider: Provider, owner: Owner, sealed: bytes) -> bool:
        try:
            opened = await self._safe.open(sealed, context=refresh_context(owner))
            return await self._accounts.revoke(provider, opened.decode())
        except (WrongKey, Tampered, ProviderNotConfigured):
            return False
