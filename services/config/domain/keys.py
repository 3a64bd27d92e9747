"""API keys: what a caller may hold, kept as digests only."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from libs.errors import InvalidArgument

_RANDOM_BYTES = 32
_SHORTEST_GIVEN = 16  # characters of LOCKGROOVE_ADMIN_KEY; less can be guessed online
_LONGEST_GIVEN = 512  # characters; no longer credential is looked at

ADMIN = "ADMIN"


class AdminKeyUnusable(InvalidArgument):
    """LOCKGROOVE_ADMIN_KEY is too short to be safe, or no header could carry it."""

    reason = "ADMIN_KEY_UNUSABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key that a caller may hold: its SHA-256, and the names of the scopes that it gives.

    A plain hash is enough for keys that we make (256 random bits): there is nothing to guess.
    """

    title: str
    digest: bytes = field(repr=False)
    scopes: tuple[str, ...]


def new_key(random: Callable[[int], bytes]) -> str:
    """A new key: `lg_` and 43 characters."""
    return "lg_" + base64.urlsafe_b64encode(random(_RANDOM_BYTES)).decode().rstrip("=")


def admin_key(key: str, *, title: str) -> ApiKey:
    """What is kept of an administrator's key."""
    return ApiKey(title=title, digest=sha256(key.encode()).digest(), scopes=(ADMIN,))


def given_admin_key(key: str) -> ApiKey:
    """What is kept, in memory only, of the key in LOCKGROOVE_ADMIN_KEY; raises AdminKeyUnusable."""
    sendable = key.isascii() and key.isprintable() and " " not in key
    if not sendable or not _SHORTEST_GIVEN <= len(key) <= _LONGEST_GIVEN:
        raise AdminKeyUnusable(
            f"LOCKGROOVE_ADMIN_KEY: expected at least {_SHORTEST_GIVEN} characters of ASCII without spaces,"
            f" at most {_LONGEST_GIVEN}"
        )
    return admin_key(key, title="LOCKGROOVE_ADMIN_KEY")
