"""GitHub, Stripe, Slack and Shopify: HMACs with SHA-256, each written in its own way."""

import base64
import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from services.webhooks.domain import place
from services.webhooks.domain.delivery import Delivery
from services.webhooks.domain.document import Document
from services.webhooks.domain.verification.matching import TOLERANCE, digits, require_any, require_fresh, required, same
from services.webhooks.domain.verification.refusal import CredentialRefused
from services.webhooks.domain.verification.scheme import Conventions, Credentials
from services.webhooks.domain.verification.secret_rule import FROM_SENDER, TEXT, SecretRule

_GITHUB = "x-hub-signature-256"
_STRIPE = "stripe-signature"
_SLACK, _SLACK_TIME = "x-slack-signature", "x-slack-request-timestamp"
_SHOPIFY = "x-shopify-hmac-sha256"
_MOST_PARTS = 16  # of Stripe's header
_LONGEST_CHALLENGE = 500  # characters


def slack_challenge(document: Document) -> str:
    """What Slack wants back when an address is entered there (url_verification)."""
    challenge = document.get("challenge")
    if document.get("type") != "url_verification" or not isinstance(challenge, str):
        return ""
    return challenge if challenge.isprintable() and len(challenge) <= _LONGEST_CHALLENGE else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHub:
    """`X-Hub-Signature-256: sha256=HEX` over the body. The older `X-Hub-Signature` with SHA-1 counts for nothing."""

    secret_headers: ClassVar[frozenset[str]] = frozenset({_GITHUB, "x-hub-signature"})
    conventions: ClassVar[Conventions] = Conventions(
        ids=(place.header("x-github-delivery"),), types=(place.header("x-github-event"),)
    )
    secret_rule: ClassVar[SecretRule] = TEXT
    concealed: ClassVar[bool] = False

    def verify(self, delivery: Delivery, credentials: Credentials) -> None:
        """Pass when the signature matches any secret; raises CredentialRefused."""
        offered = required(delivery, _GITHUB)
        require_any([same(offered, "sha256=" + _hex(secret, delivery.body)) for secret in credentials.secrets])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stripe:
    """`Stripe-Signature: t=SECONDS,v1=HEX`, v1 as often as there are secrets, over time, dot and body."""

    tolerance: timedelta = TOLERANCE
    secret_headers: ClassVar[frozenset[str]] = frozenset({_STRIPE})
    conventions: ClassVar[Conventions] = Conventions(ids=(place.body("id"),), types=(place.body("type"),))
    secret_rule: ClassVar[SecretRule] = FROM_SENDER
    concealed: ClassVar[bool] = False

    def verify(self, delivery: Delivery, credentials: Credentials) -> None:
        """Pass when any v1 matches any secret, and the time is right; raises CredentialRefused."""
        parts = [part.partition("=") for part in required(delivery, _STRIPE).split(",")]
        times = [value for name, _, value in parts if name == "t"]
        offered = [value for name, _, value in parts if name == "v1"]
        if len(parts) > _MOST_PARTS or len(times) != 1:
            raise CredentialRefused(f"{_STRIPE} cannot be read")
        timestamp = digits(times[0], "t")
        content = f"{timestamp}.".encode() + delivery.body
        expected = [_hex(secret, content) for secret in credentials.secrets]
        require_any([same(one, other) for one in offered for other in expected])
        require_fresh(delivery, timestamp, self.tolerance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slack:
    """`X-Slack-Signature: v0=HEX` over `v0:`, time, `:` and body."""

    tolerance: timedelta = TOLERANCE
    secret_headers: ClassVar[frozenset[str]] = frozenset({_SLACK})
    conventions: ClassVar[Conventions] = Conventions(
        ids=(place.body("event_id"),), types=(place.body("event.type"), place.body("type")), challenge=slack_challenge
    )
    secret_rule: ClassVar[SecretRule] = FROM_SENDER
    concealed: ClassVar[bool] = False

    def verify(self, delivery: Delivery, credentials: Credentials) -> None:
        """Pass when the signature matches any secret, and the time is right; raises CredentialRefused."""
        offered = required(delivery, _SLACK)
        timestamp = digits(required(delivery, _SLACK_TIME), _SLACK_TIME)
        content = f"v0:{timestamp}:".encode() + delivery.body
        require_any([same(offered, "v0=" + _hex(secret, content)) for secret in credentials.secrets])
        require_fresh(delivery, timestamp, self.tolerance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shopify:
    """`X-Shopify-Hmac-SHA256`: base64 over the body."""

    secret_headers: ClassVar[frozenset[str]] = frozenset({_SHOPIFY})
    conventions: ClassVar[Conventions] = Conventions(
        ids=(place.header("x-shopify-webhook-id"),), types=(place.header("x-shopify-topic"),)
    )
    secret_rule: ClassVar[SecretRule] = FROM_SENDER
    concealed: ClassVar[bool] = False

    def verify(self, delivery: Delivery, credentials: Credentials) -> None:
        """Pass when the signature matches any secret; raises CredentialRefused."""
        offered = required(delivery, _SHOPIFY)
        macs = [hmac.digest(secret.encode(), delivery.body, "sha256") for secret in credentials.secrets]
        require_any([same(offered, base64.b64encode(mac)) for mac in macs])


def _hex(secret: str, content: bytes) -> str:
    return hmac.digest(secret.encode(), content, "sha256").hex()
