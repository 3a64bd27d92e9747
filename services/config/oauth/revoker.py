"""Takes tokens back: at the provider where it offers that, then here."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """Whose tokens are good no more, and whether the provider knows."""

    owner: Owner
    at_provider: bool


class Revoker:
    """Asks providers first: a crash in between leaves tokens that the next refresh finds refused."""

    def __init__(self, tokens: SqlTokens, accounts: Accounts, safe: Safe, *, providers: Providers) -> None:
        self._tokens = tokens
        self._accounts = accounts
        self._safe = safe
        self._providers = providers

    async def revoke(self, selection: Selection) -> list[Revoked]:
        """Those that were good until now; raises UnsupportedService, and NoTokensFound for a user without any."""
        if selection.provider:
            self._providers.get(selection.provider)
        told: set[Owner] = set()
        for provider in self._providers.all():
            if provider.revoke_path and selection.provider in (None, provider.name):
                told |= await self._tell(provider, selection.user)
        owners = await self._tokens.revoke(selection)
        for owner in owners:
            log.info("oauth.revoked", provider=owner.provider, user=owner.user, at_provider=owner in told)
        return [Revoked(owner=owner, at_provider=owner in told) for owner in owners]

    async def _tell(self, provider: Provider, user: str | None) -> set[Owner]:
        held = await self._tokens.refresh_tokens(Selection(provider=provider.name, user=user))
        return {owner for owner, sealed in held if await self._is_revoked(provider, owner, sealed)}

    async def _is_revoked(self, provider: Provider, owner: Owner, sealed: bytes) -> bool:
        try:
            opened = await self._safe.open(sealed, context=refresh_context(owner))
            return await self._accounts.revoke(provider, opened.decode())
        except (WrongKey, Tampered, ProviderNotConfigured):
            return False
