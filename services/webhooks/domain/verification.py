"""Verification: how a delivery proves that its sender knows the source's secret, judged over raw bytes."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from libs.errors import Unauthenticated
from services.webhooks.domain.delivery import Delivery

_FORWARDING = frozenset({"forwarded", "x-forwarded-for", "x-real-ip"})


class CredentialRefused(Unauthenticated):
    """One answer for every cause, so that nobody learns which part was wrong; `cause` is for our own log."""

    reason = "WEBHOOK_CREDENTIAL_REFUSED"

    def __init__(self, cause: str) -> None:
        super().__init__("the webhook's credential is missing or wrong")
        self.cause = cause


class SecretNotSet(Unauthenticated):
    """Without a secret only this machine may deliver."""

    reason = "WEBHOOK_SECRET_NOT_SET"


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSecret:
    """The secret itself, in a header or as the password of basic authentication (RFC 7617): what Lidarr can send."""

    header: str

    def verify(self, delivery: Delivery, secrets: Sequence[str]) -> None:
        """Pass when any of the secrets matches; raises CredentialRefused, or SecretNotSet where there is none.

        Every candidate meets every secret, by digests of equal length, so that time tells nothing.
        """
        if not secrets:
            return _require_loopback(delivery)
        offered = _single(delivery, self.header), _password(_single(delivery, "authorization"))
        matches = [_equal(candidate, secret) for candidate in offered for secret in secrets]
        if not any(matches):
            raise CredentialRefused("missing" if offered == (b"", b"") else "mismatch")
        return None


def is_loopback(delivery: Delivery) -> bool:
    """Whether a delivery comes from this machine itself, and not through a proxy that runs on it."""
    if any(header.name in _FORWARDING for header in delivery.headers):
        return False
    try:
        address = ip_address(delivery.remote_address)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _require_loopback(delivery: Delivery) -> None:
    if not is_loopback(delivery):
        raise SecretNotSet(
            f"set a webhook secret for {delivery.source}: without one, only this machine may deliver",
            metadata={"source": delivery.source},
        )


def _single(delivery: Delivery, name: str) -> bytes:
    values = delivery.values(name)
    if len(values) > 1:
        raise CredentialRefused(f"repeated header {name}")
    return values[0].encode(errors="surrogatepass") if values else b""


def _password(authorization: bytes) -> bytes:
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _equal(offered: bytes, secret: str) -> bool:
    return hmac.compare_digest(hashlib.sha256(offered).digest(), hashlib.sha256(secret.encode()).digest())
