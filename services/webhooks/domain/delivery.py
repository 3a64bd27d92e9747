"""A delivery: one HTTP request to a webhook's address, as it came in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

REDACTED = "[redacted]"

_SECRET_NAMES = frozenset({"authorization", "proxy-authorization", "cookie", "x-webhook-secret"})
_SECRET_PARTS = ("key", "token", "secret", "password", "signature")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One header; `name` is in lower case."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a sender delivered; `received_at` is when the gateway had all of it."""

    source: str
    headers: tuple[Header, ...]
    body: bytes
    received_at: datetime
    remote_address: str

    def values(self, name: str) -> tuple[str, ...]:
        """Every value of the header of this (lower-case) name, in order."""
        return tuple(header.value for header in self.headers if header.name == name)


def redacted(headers: Sequence[Header]) -> dict[str, str]:
    """Headers fit to keep: secrets redacted, repeated ones joined (RFC 9110, section 5.3), only printable text."""
    kept: dict[str, str] = {}
    for header in headers:
        name, value = printable(header.name), REDACTED if _is_secret(header.name) else printable(header.value)
        kept[name] = f"{kept[name]}, {value}" if name in kept else value
    return kept


def printable(text: str) -> str:
    """The text with every character that a database or a terminal may choke on replaced."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "�" for char in text)


def _is_secret(name: str) -> bool:
    return name in _SECRET_NAMES or any(part in name for part in _SECRET_PARTS)
