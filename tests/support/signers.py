"""Senders of webhooks: each signs as its own documentation says, written apart from what verifies."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.webhooks.domain.verification.generic import Algorithm, Encoding, Hmac
from services.webhooks.domain.verification.providers import GitHub, Shopify, Slack, Stripe
from services.webhooks.domain.verification.scheme import Scheme
from services.webhooks.domain.verification.standard import StandardWebhooks
from services.webhooks.sources.signatures import ed25519

Headers = list[tuple[str, str]]

ED25519_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = "whpk_" + base64.b64encode(ED25519_KEY.public_key().public_bytes_raw()).decode()
MESSAGE_ID = "evt_01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A way to sign: `sign(secret, body, moment)` are the headers."""

    name: str
    scheme: Scheme
    sign: Callable[[str, bytes, datetime], Headers]
    secrets: tuple[str, str] = ("lockgroove-test-secret", "another-test-secret")
    timed: bool = False

    def __str__(self) -> str:
        return self.name


def mac(secret: str | bytes, content: bytes, algorithm: str = "sha256") -> bytes:
    """An HMAC."""
    key = secret if isinstance(secret, bytes) else secret.encode()
    return hmac.new(key, content, getattr(hashlib, algorithm)).digest()


def b64(value: bytes) -> str:
    """As base64."""
    return base64.b64encode(value).decode()


def seconds(moment: datetime) -> str:
    """As seconds since 1970."""
    return str(int(moment.timestamp()))


def standard(
    secret: str, body: bytes, moment: datetime, *, family: str = "webhook", message_id: str = MESSAGE_ID
) -> Headers:
    """Standard Webhooks v1."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = b64(mac(key, f"{message_id}.{seconds(moment)}.".encode() + body))
    return [
        (f"{family}-id", message_id),
        (f"{family}-timestamp", seconds(moment)),
        (f"{family}-signature", f"v1,{signature}"),
    ]


def svix(secret: str, body: bytes, moment: datetime) -> Headers:
    """Standard Webhooks v1 under the names of svix."""
    return standard(secret, body, moment, family="svix")


def standard_v1a(_secret: str, body: bytes, moment: datetime) -> Headers:
    """Standard Webhooks v1a."""
    signature = b64(ED25519_KEY.sign(f"{MESSAGE_ID}.{seconds(moment)}.".encode() + body))
    return [
        ("webhook-id", MESSAGE_ID),
        ("webhook-timestamp", seconds(moment)),
        ("webhook-signature", f"v1a,{signature}"),
    ]


def github(secret: str, body: bytes, _moment: datetime) -> Headers:
    """GitHub."""
    return [("x-hub-signature-256", "sha256=" + mac(secret, body).hex()), ("x-github-event", "push")]


def stripe(secret: str, body: bytes, moment: datetime) -> Headers:
    """Stripe."""
    signature = mac(secret, f"{seconds(moment)}.".encode() + body).hex()
    return [("stripe-signature", f"t={seconds(moment)},v1={signature},v0={'0' * 64}")]


def slack(secret: str, body: bytes, moment: datetime) -> Headers:
    """Slack."""
    signature = mac(secret, f"v0:{seconds(moment)}:".encode() + body).hex()
    return [("x-slack-request-timestamp", seconds(moment)), ("x-slack-signature", f"v0={signature}")]


def shopify(secret: str, body: bytes, _moment: datetime) -> Headers:
    """Shopify."""
    return [("x-shopify-hmac-sha256", b64(mac(secret, body))), ("x-shopify-topic", "orders/create")]


def generic_hex(secret: str, body: bytes, _moment: datetime) -> Headers:
    """The body alone, in hexadecimal."""
    return [("x-signature", mac(secret, body).hex())]


def generic_whole(secret: str, body: bytes, moment: datetime) -> Headers:
    """Id, milliseconds and body, SHA-512, base64 for addresses without padding, behind a prefix."""
    stamp = f"{seconds(moment)}000"
    signature = base64.urlsafe_b64encode(mac(secret, f"{MESSAGE_ID}:{stamp}:".encode() + body, "sha512")).decode()
    return [("x-id", MESSAGE_ID), ("x-time", stamp), ("x-signature", "v2=" + signature.rstrip("="))]


GENERIC_WHOLE = Hmac(
    header="x-signature",
    algorithm=Algorithm.SHA512,
    encoding=Encoding.BASE64_URL,
    prefix="v2=",
    content="{id}:{timestamp}:{body}",
    id_header="x-id",
    timestamp_header="x-time",
)
_WHSEC = "whsec_bG9ja2dyb292ZS10ZXN0LXNlY3JldC1wYWRkaW5n", "whsec_" + b64(b"another-test-secret-another-one")
_STANDARD = StandardWebhooks(ed25519=ed25519)

SENDERS = [
    Sender(name="standard", scheme=_STANDARD, sign=standard, secrets=_WHSEC, timed=True),
    Sender(name="svix", scheme=_STANDARD, sign=svix, secrets=_WHSEC, timed=True),
    Sender(name="standard-v1a", scheme=_STANDARD, sign=standard_v1a, secrets=(PUBLIC_KEY, _WHSEC[0]), timed=True),
    Sender(name="github", scheme=GitHub(), sign=github),
    Sender(name="stripe", scheme=Stripe(), sign=stripe, timed=True),
    Sender(name="slack", scheme=Slack(), sign=slack, timed=True),
    Sender(name="shopify", scheme=Shopify(), sign=shopify),
    Sender(name="generic-hex", scheme=Hmac(header="x-signature"), sign=generic_hex),
    Sender(name="generic-whole", scheme=GENERIC_WHOLE, sign=generic_whole, timed=True),
]
