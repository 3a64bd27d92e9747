"""Connects accounts: sends users to a provider, and takes what it sends back (RFC 6749, 4.1 with RFC 7636)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from libs.clock import Clock
from libs.errors import FailedPrecondition, InvalidArgument
from libs.telemetry.logger import get_logger
from services.config.domain.grants import Grant, NotGrantedError
from services.config.domain.oauth import (
    AUTHORIZATION_ERRORS,
    OTHER,
    AuthorizationRefused,
    Owner,
    Token,
)
from services.config.domain.providers import Provider, Providers, authorization_url, redirect_url, unpadded
from services.config.oauth.accounts import Accounts
from services.config.oauth.authorizations import Pending, SqlAuthorizations
from services.config.oauth.store import SqlTokens

log = get_logger()

_RANDOM_BYTES = 32  # RFC 7636, 4.1 and 7.1


class ExchangeFailed(FailedPrecondition):
    """The provider could not be asked for the tokens; trying again is of no use, since the state is used up."""

    reason = "EXCHANGE_FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What a user has to open, and until when."""

    url: str = field(repr=False)
    ends: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SentBack:
    """What came back with a user."""

    state: str = field(repr=False)
    code: str = field(repr=False)
    error: str


class Authorizer:
    """Begins and ends authorizations; `public` is the address under which browsers reach the gateway now."""

    def __init__(
        self,
        authorizations: SqlAuthorizations,
        tokens: SqlTokens,
        accounts: Accounts,
        *,
        providers: Providers,
        public: Callable[[], str],
        random: Callable[[int], bytes],
        clock: Clock,
    ) -> None:
        self._authorizations = authorizations
        self._tokens = tokens
        self._accounts = accounts
        self._providers = providers
        self._public = public
        self._random = random
        self._clock = clock

    def redirect_url(self, provider: Provider) -> str:
        """Where the provider sends users back to."""
        return redirect_url(provider, self._public())

    async def begin(self, owner: Owner, *, session: str = "") -> Begun:
        """Begins for a user, in the browser of a session; raises UnsupportedService or ProviderNotConfigured."""
        provider = self._providers.get(owner.provider)
        client, redirect = self._accounts.client(provider), self.redirect_url(provider)
        state, verifier = unpadded(self._random(_RANDOM_BYTES)), unpadded(self._random(_RANDOM_BYTES))
        pending = Pending(owner=owner, redirect=redirect, session=session, verifier=verifier)
        ends = await self._authorizations.begin(state, pending)
        url = authorization_url(provider, client, redirect=redirect, state=state, verifier=verifier)
        return Begun(url=url, ends=ends)

    async def complete(self, service: str, back: SentBack, *, session: str = "") -> Token:
        """Ends what was begun under a state; raises AuthorizationUnusable.

        What a browser with a session began ends in that one alone; else whoever comes with the state may end it.

        The state is used up first: of two who come with it, one exchanges the code, and a crash in between costs the
        user one more click, never a second exchange. Raises AuthorizationRefused or ExchangeFailed for what followed.
        """
        provider = self._providers.get(service)
        if not (back.code or back.error):
            raise InvalidArgument.field("code", "must not be empty")
        pending = await self._authorizations.take(back.state, provider.name, session=session)
        if back.error:
            raise _refused(provider, back.error if back.error in AUTHORIZATION_ERRORS else OTHER)
        asked = self._clock.monotonic()
        grant = await self._exchanged(provider, back.code, pending)
        age = timedelta(seconds=self._clock.monotonic() - asked)
        token = await self._tokens.connect(pending.owner, grant, age=age)
        log.info("oauth.connected", provider=provider.name, user=pending.owner.user)
        return token

    async def _exchanged(self, provider: Provider, code: str, pending: Pending) -> Grant:
        try:
            return await self._accounts.exchange(provider, code, verifier=pending.verifier, redirect=pending.redirect)
        except NotGrantedError as error:
            log.info("oauth.not_connected", provider=provider.name, user=pending.owner.user, error=error.word)
            if not error.silent:
                raise _refused(provider, error.word) from error
            raise ExchangeFailed(
                f"{provider.title} did not give the tokens ({error.word}): begin again",
                metadata={"service": provider.name, "error": error.word},
            ) from error


def _refused(provider: Provider, word: str) -> AuthorizationRefused:
    return AuthorizationRefused(
        f"{provider.title} did not connect the account ({word}): begin again",
        metadata={"service": provider.name, "error": word},
    )
