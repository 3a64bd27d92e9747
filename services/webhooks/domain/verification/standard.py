"""Standard Webhooks 1.0 (https://www.standardwebhooks.com): v1 is an HMAC, v1a a signature with ed25519."""

import base64
import binascii
import hmac
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Protocol

from services.webhooks.domain import place
from services.webhooks.domain.delivery import Delivery
from services.webhooks.domain.verification.matching import TOLERANCE, digits, require_any, require_fresh, required, same
from services.webhooks.domain.verification.refusal import CredentialRefused
from services.webhooks.domain.verification.scheme import Conventions, Credentials
from services.webhooks.domain.verification.secret_rule import STANDARD, SecretRule, public_key, symmetric_key

_FAMILIES = "webhook", "svix"
_HEADERS = frozenset(f"{family}-signature" for family in _FAMILIES)
_ID = re.compile(r"[!-\-/-~]{1,256}")  # printable ASCII without a dot, which would make the signed content ambiguous
_MOST_SIGNATURES = 16  # in one header: each may cost a check


class Ed25519(Protocol):
    """Signatures with ed25519 (RFC 8032), which the standard library does not know."""

    def __call__(self, key: bytes, signature: bytes, message: bytes) -> bool:
        """Whether the holder of the key signed the message; False for whatever is no key or no signature."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardWebhooks:
    """`webhook-id`, `webhook-timestamp`, `webhook-signature`, or the same three with `svix`."""

    ed25519: Ed25519
    tolerance: timedelta = TOLERANCE
    secret_headers: ClassVar[frozenset[str]] = _HEADERS
    conventions: ClassVar[Conventions] = Conventions(
        ids=tuple(place.header(f"{family}-id") for family in _FAMILIES), types=(place.body("type"),)
    )
    secret_rule: ClassVar[SecretRule] = STANDARD
    concealed: ClassVar[bool] = False

    def verify(self, delivery: Delivery, credentials: Credentials) -> None:
        """Pass when any signature matches any secret, and its time is right; raises CredentialRefused."""
        family = next((each for each in _FAMILIES if delivery.values(f"{each}-signature")), _FAMILIES[0])
        message_id = _message_id(delivery, family)
        timestamp = digits(required(delivery, f"{family}-timestamp"), f"{family}-timestamp")
        signatures = required(delivery, f"{family}-signature").split(" ")
        if len(signatures) > _MOST_SIGNATURES:
            raise CredentialRefused("too many signatures")
        content = f"{message_id}.{timestamp}.".encode() + delivery.body
        require_any(self._matches(content, signatures, credentials.secrets))
        require_fresh(delivery, timestamp, self.tolerance)

    def _matches(self, content: bytes, signatures: Sequence[str], secrets: Sequence[str]) -> Iterator[bool]:
        for secret in secrets:
            if key := symmetric_key(secret):
                expected = "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
                yield from (same(each, expected) for each in signatures)
            elif key := public_key(secret):
                yield from (self._is_signed(key, each, content) for each in signatures if each.startswith("v1a,"))

    def _is_signed(self, key: bytes, entry: str, content: bytes) -> bool:
        encoded = entry.removeprefix("v1a,")
        try:
            signature = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return False
        canonical = base64.b64encode(signature).decode() == encoded
        return canonical and self.ed25519(key, signature, content)


def _message_id(delivery: Delivery, family: str) -> str:
    """The id that is signed: another one beside it would make a new event of a copied delivery."""
    message_id = required(delivery, f"{family}-id")
    if not _ID.fullmatch(message_id):
        raise CredentialRefused(f"{family}-id is no id")
    if any(value != message_id for each in _FAMILIES for value in delivery.values(f"{each}-id")):
        raise CredentialRefused("two ids")
    return message_id
