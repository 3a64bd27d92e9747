"""A generic HMAC: algorithm, header, prefix, encoding and signed content as configured."""

import base64
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from libs.errors import InvalidArgument
from services.webhooks.domain import place
from services.webhooks.domain.delivery import Delivery
from services.webhooks.domain.verification.matching import TOLERANCE, digits, require_any, require_fresh, required, same
from services.webhooks.domain.verification.refusal import CredentialRefused
from services.webhooks.domain.verification.scheme import Conventions, Credentials
from services.webhooks.domain.verification.secret_rule import TEXT, SecretRule

_ID = re.compile(r"[!-~]{1,256}")  # printable ASCII
_NAMES = re.compile(r"[{]([^{}]*)[}]")
_BODY = "{body}"


class Algorithm(StrEnum):
    """The hash; SHA-1 is only for senders that know nothing better."""

    SHA256 = "sha256"
    SHA512 = "sha512"
    SHA1 = "sha1"


class Encoding(StrEnum):
    """How the signature is written."""

    HEX = "HEX"
    BASE64 = "BASE64"
    BASE64_URL = "BASE64_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hmac:
    """An HMAC over `content`, a text with `{id}`, `{timestamp}` and, last, `{body}` in it."""

    header: str
    algorithm: Algorithm = Algorithm.SHA256
    encoding: Encoding = Encoding.HEX
    prefix: str = ""
    content: str = _BODY
    id_header: str = ""
    timestamp_header: str = ""
    tolerance: timedelta = TOLERANCE
    secret_rule: ClassVar[SecretRule] = TEXT
    concealed: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Raises InvalidArgument for a content that cannot be signed, or could be read in two ways."""
        if not self.header:
            raise _wrong("header", "is missing")
        names = _NAMES.findall(self.content)
        if not self.content.endswith(_BODY) or len(set(names)) < len(names) or set(names) - {"id", "timestamp", "body"}:
            raise _wrong("content", "must be text with {id}, {timestamp} and, last, {body}, each at most once")
        if "id" in names and not self.id_header:
            raise _wrong("id_header", "is missing: {id} is signed")
        if ("timestamp" in names) != bool(self.timestamp_header):
            what = "is missing: {timestamp} is signed" if "timestamp" in names else "is set, but {timestamp} not signed"
            raise _wrong("timestamp_header", what)
        if "{id}{" in self.content or "}{id}" in self.content:
            raise _wrong("content", "must have something between {id} and what stands beside it")

    @property
    def secret_headers(self) -> frozenset[str]:
        """The header."""
        return frozenset({self.header})

    @property
    def conventions(self) -> Conventions:
        """The id, where there is a header for it."""
        return Conventions(ids=(place.header(self.id_header),) if self.id_header else ())

    def verify(self, delivery: Delivery, credentials: Credentials) -> None:
        """Pass when the signature matches any secret, and the time, where there is one, is right.

        Raises CredentialRefused.
        """
        offered = required(delivery, self.header)
        fields = self._fields(delivery)
        signed = _NAMES.sub(lambda found: fields[found[1]], self.content.removesuffix(_BODY)).encode() + delivery.body
        macs = [hmac.digest(secret.encode(), signed, self.algorithm) for secret in credentials.secrets]
        require_any([self._is_written(offered, mac) for mac in macs])
        if self.timestamp_header:
            require_fresh(delivery, fields["timestamp"], self.tolerance)

    def _fields(self, delivery: Delivery) -> Mapping[str, str]:
        fields = {}
        if self.id_header and "{id}" in self.content:
            fields["id"] = required(delivery, self.id_header)
            behind = self.content.partition("{id}")[2].partition("{")[0]
            if not _ID.fullmatch(fields["id"]) or (behind and behind in fields["id"]):
                raise CredentialRefused(f"{self.id_header} is no id")
        if self.timestamp_header:
            fields["timestamp"] = digits(required(delivery, self.timestamp_header), self.timestamp_header)
        return fields

    def _is_written(self, offered: str, mac: bytes) -> bool:
        if self.encoding is Encoding.HEX:
            written = offered.removeprefix(self.prefix).lower() if offered.startswith(self.prefix) else ""
            return same(written, mac.hex())
        if self.encoding is Encoding.BASE64:
            return same(offered, self.prefix + base64.b64encode(mac).decode())
        padded = self.prefix + base64.urlsafe_b64encode(mac).decode()
        return same(offered, padded) | same(offered, padded.rstrip("="))


def _wrong(field: str, description: str) -> InvalidArgument:
    return InvalidArgument.field(f"verification.hmac.{field}", description, reason="VERIFICATION_INVALID")
