"""Secret rules: what the secrets of a scheme are like, and who makes them."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass

from libs.errors import InvalidArgument

RANDOM_BYTES = 32  # of a secret that is made here

_SHORTEST = 8  # characters
_KEY_BYTES = range(24, 65)  # of a symmetric key of Standard Webhooks
_PUBLIC_KEY_BYTES = 32
SYMMETRIC, PUBLIC = "whsec_", "whpk_"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRule:
    """`given`: people may choose it. `make`: it can be made here, out of random bytes. Neither: there is none."""

    given: bool
    make: Callable[[bytes], str] | None
    check: Callable[[str], str]  # what is wrong with a secret, empty for nothing

    def choose(self, given: str, random: bytes) -> tuple[str, bool]:
        """The secret to use, empty where there is none, and whether it was made here; raises InvalidArgument."""
        if given:
            wrong = self.check(given) if self.given else "cannot be chosen for this scheme: leave it empty"
            if wrong:
                raise InvalidArgument.field("secret", wrong, reason="SECRET_INVALID")
            return given, False
        if self.make is not None:
            return self.make(random), True
        if self.given:
            raise InvalidArgument.field("secret", "is missing: this sender makes it itself", reason="SECRET_MISSING")
        return "", False


def symmetric_key(secret: str) -> bytes | None:
    """The key in a `whsec_` secret of Standard Webhooks; None in any other."""
    return None if secret.startswith(PUBLIC) else _decoded(secret.removeprefix(SYMMETRIC), _KEY_BYTES)


def public_key(secret: str) -> bytes | None:
    """The key in a `whpk_` secret of Standard Webhooks; None in any other."""
    length = range(_PUBLIC_KEY_BYTES, _PUBLIC_KEY_BYTES + 1)
    return _decoded(secret.removeprefix(PUBLIC), length) if secret.startswith(PUBLIC) else None


def _decoded(text: str, lengths: range) -> bytes | None:
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) in lengths else None


def _check_text(secret: str) -> str:
    if len(secret) < _SHORTEST:
        return f"must have at least {_SHORTEST} characters"
    return "" if secret.isprintable() else "must be printable text"


def _check_header_text(secret: str) -> str:
    fits = secret.isascii() and secret == secret.strip()
    return _check_text(secret) if fits else "must be ASCII without spaces around it, for it travels in a header"


def _check_standard(secret: str) -> str:
    if symmetric_key(secret) or public_key(secret):
        return ""
    return "must be whsec_ and 24 to 64 bytes in base64, or for v1a whpk_ and the 32 bytes of a public key in base64"


def _url_safe(random: bytes) -> str:
    return base64.urlsafe_b64encode(random).decode().rstrip("=")


def _standard(random: bytes) -> str:
    return SYMMETRIC + base64.b64encode(random).decode()


def _nothing_wrong(_secret: str) -> str:
    return ""


TEXT = SecretRule(given=True, make=_url_safe, check=_check_text)
HEADER_TEXT = SecretRule(given=True, make=_url_safe, check=_check_header_text)
FROM_SENDER = SecretRule(given=True, make=None, check=_check_text)
STANDARD = SecretRule(given=True, make=_standard, check=_check_standard)
MADE_HERE = SecretRule(given=False, make=_url_safe, check=_nothing_wrong)
NO_SECRET = SecretRule(given=False, make=None, check=_nothing_wrong)
