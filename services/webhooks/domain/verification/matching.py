"""Matching: what every scheme does with headers, times and secrets."""

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from services.webhooks.domain.delivery import Delivery
from services.webhooks.domain.verification.refusal import CredentialRefused

TOLERANCE = timedelta(minutes=5)

_DIGITS = re.compile(r"[0-9]{1,13}")
_MILLISECONDS = 10**11  # seconds would be in the year 5138


def single(delivery: Delivery, name: str) -> str:
    """The value of a header, empty where it is absent; raises CredentialRefused where it is repeated."""
    values = delivery.values(name)
    if len(values) > 1:
        raise CredentialRefused(f"repeated header {name}")
    return values[0] if values else ""


def required(delivery: Delivery, name: str) -> str:
    """The value of a header; raises CredentialRefused where it is absent, empty or repeated."""
    value = single(delivery, name)
    if not value:
        raise CredentialRefused(f"missing header {name}")
    return value


def same(offered: str | bytes, expected: str | bytes) -> bool:
    """Whether both are equal, in a time that tells nothing of either: by digests, which have equal lengths."""
    return hmac.compare_digest(hashlib.sha256(_bytes(offered)).digest(), hashlib.sha256(_bytes(expected)).digest())


def require_any(matches: Iterable[bool]) -> None:
    """Raises CredentialRefused unless one holds. All are judged, so that time does not tell which it was."""
    if not any(list(matches)):
        raise CredentialRefused("mismatch")


def digits(text: str, name: str) -> str:
    """The text of a time as it was signed; raises CredentialRefused for anything but digits."""
    if not _DIGITS.fullmatch(text):
        raise CredentialRefused(f"{name} is no time")
    return text


def require_fresh(delivery: Delivery, timestamp: str, tolerance: timedelta) -> None:
    """Judge a signed time, in seconds or milliseconds, at the time of arrival; raises CredentialRefused."""
    number = int(timestamp)
    signed = number if number < _MILLISECONDS else number / 1000
    behind = delivery.received_at - datetime.fromtimestamp(signed, UTC)
    if behind > tolerance:
        raise CredentialRefused("stale timestamp")
    if behind < -tolerance:
        raise CredentialRefused("timestamp in the future")


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
