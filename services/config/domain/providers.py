"""Providers at which users can have accounts: data only, so that another is a few lines."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlencode

from libs.errors import FailedPrecondition, InvalidArgument, Violation

_PKCE = "S256"  # RFC 7636, 4.2; its `plain` protects from nobody who reads addresses


class UnsupportedService(InvalidArgument):
    """No provider has this name."""

    reason = "UNSUPPORTED_SERVICE"


class ProviderNotConfigured(FailedPrecondition):
    """A setting is missing without which nobody can connect an account."""

    reason = "PROVIDER_NOT_CONFIGURED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider of accounts (RFC 6749). Its settings are `client_id`, `client_secret` and `accounts_url` of `name`.

    Paths are below `accounts_url`; an empty `revoke_path` says that it offers no revocation (RFC 7009). `lifetime` is
    how long an access token is good whose answer does not say so. `params` go along with the user.
    """

    name: str
    title: str
    authorize_path: str
    token_path: str
    revoke_path: str = ""
    scopes: tuple[str, ...]
    lifetime: timedelta = timedelta(hours=1)
    params: Mapping[str, str] = field(default_factory=dict)


SPOTIFY = Provider(
    name="spotify",
    title="Spotify",
    authorize_path="/authorize",
    token_path="/api/token",  # noqa: S106 - a path
    scopes=("playlist-read-private", "playlist-read-collaborative", "user-library-read", "user-read-private"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What a provider knows us by, as the settings say it; a public client has no secret."""

    base: str
    id: str
    secret: str = field(default="", repr=False)

    @classmethod
    def of(cls, provider: Provider, settings: Mapping[str, str]) -> "Client":
        """The client of these settings, by path; raises ProviderNotConfigured."""
        known = {name: settings.get(f"{provider.name}.{name}", "") for name in ("client_id", "accounts_url")}
        missing = [f"{provider.name}.{name}" for name, text in known.items() if not text]
        if missing:
            raise ProviderNotConfigured(
                f"{provider.title} is not set up: set {' and '.join(missing)}",
                metadata={"settings": ", ".join(missing)},
            )
        secret = settings.get(f"{provider.name}.client_secret", "")
        return cls(base=known["accounts_url"].rstrip("/"), id=known["client_id"], secret=secret)


class Providers:
    """Those that this installation knows."""

    def __init__(self, known: Iterable[Provider]) -> None:
        self._known = {each.name: each for each in known}

    def get(self, name: str) -> Provider:
        """The provider of this name; raises UnsupportedService."""
        found = self._known.get(name)
        if found is None:
            description = f"must be one of {', '.join(self._known)}"
            violation = Violation(field="service", description=description, reason=UnsupportedService.reason)
            raise UnsupportedService(f"service: {description}", violations=[violation])
        return found

    def all(self) -> list[Provider]:
        """All of them."""
        return list(self._known.values())


def redirect_url(provider: Provider, public: str) -> str:
    """Where a provider sends users back to; `public` is the address under which browsers reach the gateway."""
    return f"{public.rstrip('/')}/api/oauth/callback/{provider.name}"


def authorization_url(provider: Provider, client: Client, *, redirect: str, state: str, verifier: str) -> str:
    """What a user has to open (RFC 6749, 4.1.1 and RFC 7636, 4.3)."""
    query = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": redirect,
        "scope": " ".join(provider.scopes),
        "state": state,
        "code_challenge_method": _PKCE,
        "code_challenge": challenge(verifier),
        **provider.params,
    }
    return f"{client.base}{provider.authorize_path}?{urlencode(query)}"


def challenge(verifier: str) -> str:
    """S256 of a verifier (RFC 7636, 4.2)."""
    return unpadded(hashlib.sha256(verifier.encode()).digest())


def unpadded(data: bytes) -> str:
    """Base64url without padding (RFC 7636, appendix A)."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
