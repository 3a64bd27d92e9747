"""A delivery: one HTTP request to a webhook's address, as it came in."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

REDACTED = "[redacted]"

_SECRET_PARTS = ("auth", "cookie", "credential", "hmac", "key", "password", "secret", "signature", "token")
_TELLING = frozenset(
    {
        "accept",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "forwarded",
        "host",
        "svix-id",
        "svix-timestamp",
        "transfer-encoding",
        "user-agent",
        "webhook-id",
        "webhook-timestamp",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-github-delivery",
        "x-github-event",
        "x-github-hook-id",
        "x-request-id",
        "x-shopify-topic",
        "x-shopify-webhook-id",
        "x-slack-request-timestamp",
        "x-slack-retry-num",
    }
)
_MOST_TOLD = 50  # headers of a stranger
_LONGEST_TOLD = 200  # characters of a name or a value


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One header; `name` is in lower case."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a sender delivered; `received_at` is when the gateway had all of it. What may be secret has no repr."""

    source: str
    headers: tuple[Header, ...] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: datetime
    remote_address: str
    url_secret: str = field(default="", repr=False)

    def values(self, name: str) -> tuple[str, ...]:
        """Every value of the header of this (lower-case) name, in order."""
        return tuple(header.value for header in self.headers if header.name == name)


def redacted(headers: Sequence[Header], *, secret: Collection[str] = ()) -> dict[str, str]:
    """Headers fit to keep: secrets redacted, repeated ones joined (RFC 9110, section 5.3), only printable text.

    Secret are those whose name says so, and those that the source names.
    """
    kept: dict[str, str] = {}
    for header in headers:
        hidden = header.name in secret or _sounds_secret(header.name)
        name, value = printable(header.name), REDACTED if hidden else printable(header.value)
        kept[name] = f"{kept[name]}, {value}" if name in kept else value
    return kept


def of_stranger(headers: Sequence[Header]) -> dict[str, str]:
    """Headers of somebody who proved nothing, bounded; a value is kept where it is known not to be a secret.

    A sender that is configured wrongly may send its secret in any header, to any source.
    """
    told = {}
    for header in headers[:_MOST_TOLD]:
        value = printable(header.value[:_LONGEST_TOLD]) if header.name in _TELLING else REDACTED
        told[printable(header.name[:_LONGEST_TOLD])] = value
    return told


def printable(text: str) -> str:
    """The text with every character that a database or a terminal may choke on replaced."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "�" for char in text)


def _sounds_secret(name: str) -> bool:
    return any(part in name for part in _SECRET_PARTS)
