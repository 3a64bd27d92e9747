"""Plain credentials: the secret itself in a header, in basic authentication or in the address; or nothing at all."""

import base64
import binascii
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import ClassVar

from libs.errors import InvalidArgument
from services.webhooks.domain.delivery import Delivery
from services.webhooks.domain.verification.matching import require_any, required, same, single
from services.webhooks.domain.verification.refusal import CredentialRefused, SecretNotSet
from services.webhooks.domain.verification.scheme import Conventions, Credentials
from services.webhooks.domain.verification.secret_rule import HEADER_TEXT, MADE_HERE, NO_SECRET, SecretRule

_AUTHORIZATION = "authorization"
_INDIRECT = frozenset(
    {"cf-connecting-ip", "forwarded", "true-client-ip", "via", "x-client-ip", "x-real-ip"}
    | {f"x-forwarded-{what}" for what in ("for", "host", "proto", "server")}
    | {"origin", "sec-fetch-site"}  # of browsers: any page that somebody on this machine has open can send here
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSecret:
    """The secret in a header or as the password of basic authentication: what Lidarr and slskd can send."""

    header: str
    conventions: ClassVar[Conventions] = Conventions()
    secret_rule: ClassVar[SecretRule] = HEADER_TEXT
    concealed: ClassVar[bool] = False

    @property
    def secret_headers(self) -> frozenset[str]:
        """Both headers."""
        return frozenset({self.header, _AUTHORIZATION})

    def verify(self, delivery: Delivery, credentials: Credentials) -> None:
        """Pass when any of the secrets matches, or for this machine where none is required.

        Every candidate meets every secret. Raises CredentialRefused, or SecretNotSet where there is none.
        """
        if not credentials.required and is_loopback(delivery):
            return
        if not credentials.secrets:
            raise CredentialRefused("no valid secret") if credentials.required else SecretNotSet(delivery.source)
        offered = single(delivery, self.header).encode(errors="surrogatepass"), _basic(delivery)[1]
        if offered == (b"", b""):
            raise CredentialRefused("missing")
        require_any([same(candidate, secret) for candidate in offered for secret in credentials.secrets])


@dataclass(frozen=True, slots=True, kw_only=True)
class Basic:
    """Basic authentication (RFC 7617): a user, and the secret as password."""

    username: str
    conventions: ClassVar[Conventions] = Conventions()
    secret_rule: ClassVar[SecretRule] = HEADER_TEXT
    concealed: ClassVar[bool] = False

    @property
    def secret_headers(self) -> frozenset[str]:
        """Where both are."""
        return frozenset({_AUTHORIZATION})

    def verify(self, delivery: Delivery, credentials: Credentials) -> None:
        """Pass when user and password are right; both are always judged. Raises CredentialRefused."""
        user, password = _basic(delivery)
        right_user = same(user, self.username)
        require_any([same(password, secret) & right_user for secret in credentials.secrets])


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderToken:
    """The secret in a header, behind a prefix such as `Bearer `."""

    header: str
    prefix: str = ""
    conventions: ClassVar[Conventions] = Conventions()
    secret_rule: ClassVar[SecretRule] = HEADER_TEXT
    concealed: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Raises InvalidArgument without a header."""
        if not self.header:
            raise InvalidArgument.field("verification.header_token.header", "is missing", reason="VERIFICATION_INVALID")

    @property
    def secret_headers(self) -> frozenset[str]:
        """The header."""
        return frozenset({self.header})

    def verify(self, delivery: Delivery, credentials: Credentials) -> None:
        """Pass when any of the secrets matches; raises CredentialRefused."""
        offered = required(delivery, self.header)
        require_any([same(offered, self.prefix + secret) for secret in credentials.secrets])


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretUrl:
    """The secret in the address; who does not know it does not learn that there is such a source."""

    secret_headers: ClassVar[frozenset[str]] = frozenset()
    conventions: ClassVar[Conventions] = Conventions()
    secret_rule: ClassVar[SecretRule] = MADE_HERE
    concealed: ClassVar[bool] = True

    def verify(self, delivery: Delivery, credentials: Credentials) -> None:
        """Pass when any of the secrets matches; raises CredentialRefused."""
        require_any([same(delivery.url_secret, secret) for secret in credentials.secrets])


@dataclass(frozen=True, slots=True, kw_only=True)
class Loopback:
    """Nothing: only this machine may deliver."""

    secret_headers: ClassVar[frozenset[str]] = frozenset()
    conventions: ClassVar[Conventions] = Conventions()
    secret_rule: ClassVar[SecretRule] = NO_SECRET
    concealed: ClassVar[bool] = False

    def verify(self, delivery: Delivery, credentials: Credentials) -> None:
        """Pass when this machine delivers; raises CredentialRefused."""
        if not is_loopback(delivery):
            raise CredentialRefused("not this machine")


def is_loopback(delivery: Delivery) -> bool:
    """Whether a delivery comes from this machine itself, and not through a proxy or a browser that runs on it."""
    if any(header.name in _INDIRECT for header in delivery.headers):
        return False
    try:
        address = ip_address(delivery.remote_address)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _basic(delivery: Delivery) -> tuple[bytes, bytes]:
    """User and password, both empty where there are none that can be read; raises CredentialRefused if repeated."""
    kind, _, encoded = single(delivery, _AUTHORIZATION).partition(" ")
    if kind.lower() != "basic":
        return b"", b""
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return b"", b""
    return user, password
