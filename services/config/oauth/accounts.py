"""The accounts service of a provider: codes and refresh tokens go in, tokens come out (RFC 6749, 7009, 7636).

What a provider says of a failure is taken down as one of the words that the RFC knows: its text may hold anything.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from libs.telemetry.tracing import Tracer
from services.config.domain.grants import Grant, NotGrantedError
from services.config.domain.oauth import OTHER, TOKEN_ERRORS
from services.config.domain.providers import Client, Provider, ProviderNotConfigured

if TYPE_CHECKING:
    from libs.outbound.http import httpx

SECONDS = 8.0  # for one answer: callers wait for ten in all; the lease of a refresh is longer
_LARGEST = 64 * 1024  # bytes of an answer
_LONGEST = 8 * 1024  # characters of a token
_LONGEST_SCOPE = 2000
_LONGEST_REST = timedelta(hours=1)  # however long a provider asks for
_LONGEST_LIFE = timedelta(days=366)
_TOO_MANY = 429
_UNREADABLE = (ValueError, TypeError, LookupError, OverflowError, RecursionError)  # for the JSON of somebody else

SettingTexts = Callable[[], Mapping[str, str]]


class Accounts:
    """Asks the accounts services of providers; `settings` are those in force, by path."""

    def __init__(self, settings: SettingTexts, *, tracer: Tracer) -> None:
        self._settings = settings
        self._tracer = tracer

    def client(self, provider: Provider) -> Client:
        """What the provider knows us by; raises ProviderNotConfigured."""
        return Client.of(provider, self._settings())

    def is_configured(self, provider: Provider) -> bool:
        """Whether the settings that it takes are set."""
        try:
            self.client(provider)
        except ProviderNotConfigured:
            return False
        return True

    async def exchange(self, provider: Provider, code: str, *, verifier: str, redirect: str) -> Grant:
        """The tokens for a code (RFC 6749, 4.1.3 and RFC 7636, 4.5); raises NotGrantedError, ProviderNotConfigured."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "code_verifier": verifier,
        }
        return await self._granted(provider, form)

    async def refresh(self, provider: Provider, refresh_token: str) -> Grant:
        """New tokens (RFC 6749, 6); raises NotGrantedError, ProviderNotConfigured."""
        return await self._granted(provider, {"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def revoke(self, provider: Provider, refresh_token: str) -> bool:
        """Takes a refresh token back there, and all that came of it (RFC 7009); whether the provider did it."""
        form = {"token": refresh_token, "token_type_hint": "refresh_token"}
        try:
            answer = await self._posted(provider, provider.revoke_path, form)
        except NotGrantedError:
            return False
        return bool(answer.is_success)

    async def _granted(self, provider: Provider, form: Mapping[str, str]) -> Grant:
        answer = await self._posted(provider, provider.token_path, form)
        _check(answer)
        try:
            return _grant(answer.json(), provider)
        except _UNREADABLE as error:
            raise NotGrantedError("unreadable_answer", silent=True) from error

    async def _posted(self, provider: Provider, path: str, form: Mapping[str, str]) -> "httpx.Response":
        from libs.outbound.bounded import bounded  # httpx: for those who have an account
        from libs.outbound.http import httpx

        client = self.client(provider)
        url = f"{client.base}{path}"
        known = {**form, "client_id": client.id}
        auth = httpx.BasicAuth(client.id, client.secret) if client.secret else None
        secure = url.startswith("https:")  # else no certificates are loaded
        with self._tracer.span(f"POST {provider.name}", "client", attributes={"provider": provider.name}) as span:
            try:
                async with httpx.AsyncClient(trust_env=False, verify=secure, auth=auth) as http:
                    headers = {"Accept": "application/json"}
                    answer = await bounded(
                        http, "POST", url, seconds=SECONDS, largest=_LARGEST, data=known, headers=headers
                    )
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                word = "timeout" if isinstance(error, httpx.TimeoutException) else "unreachable"
                span.fail(word)
                raise NotGrantedError(word, silent=True) from None  # it may name what was sent
            span.set("http.response.status_code", answer.status_code)
            return answer


def _check(answer: "httpx.Response") -> None:
    """Raises NotGrantedError for every status that is no success."""
    status = answer.status_code
    if status == _TOO_MANY:
        raise NotGrantedError("rate_limited", silent=True, rest=_rest(answer))
    if status >= 500:
        raise NotGrantedError("server_error", silent=True, rest=_rest(answer))
    if not answer.is_success:
        raise NotGrantedError(_word(answer))


def _word(answer: "httpx.Response") -> str:
    try:
        said = answer.json().get("error")
    except (*_UNREADABLE, AttributeError):
        return OTHER
    return said if isinstance(said, str) and said in TOKEN_ERRORS else OTHER


def _rest(answer: "httpx.Response") -> timedelta:
    told = answer.headers.get("Retry-After", "")
    return min(timedelta(seconds=int(told[:9])), _LONGEST_REST) if told.isascii() and told.isdigit() else timedelta()


def _grant(document: Any, provider: Provider) -> Grant:
    """What an answer grants (RFC 6749, 5.1); raises one of `_UNREADABLE`."""
    if str(document["token_type"]).lower() != "bearer":
        raise ValueError("tokens of a type that we cannot use")  # RFC 6749, 7.1
    refresh, scope = document.get("refresh_token"), document.get("scope")
    lifetime = timedelta(seconds=int(document.get("expires_in", provider.lifetime.total_seconds())))
    if not timedelta() < lifetime <= _LONGEST_LIFE:
        raise ValueError("tokens that are over, or never will be")
    return Grant(
        access_token=_token(document["access_token"]),
        refresh_token=_token(refresh) if refresh else None,
        lifetime=lifetime,
        scope=None if scope is None else _scope(scope),
    )


def _token(text: Any) -> str:
    if not (isinstance(text, str) and 0 < len(text) <= _LONGEST and text.isascii() and text.isprintable()):
        raise ValueError("not a token")
    return text


def _scope(text: Any) -> str:
    """RFC 6749, 3.3."""
    if not (isinstance(text, str) and len(text) <= _LONGEST_SCOPE and text.isascii() and text.isprintable()):
        raise ValueError("not a scope")
    return text
