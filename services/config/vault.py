"""Secrets sealed and opened, each for its own setting."""

import hmac
from hashlib import sha256

from libs.crypto import Keyring

_FINGERPRINT_CHARACTERS = 12


class Vault:
    """Seals secrets so that each opens only as the value of its own setting.

    A fingerprint tells whether two values are equal, to those who hold the key; without it (in a copy of the database)
    nobody can try out passwords against it, as they could against a plain hash.
    """

    def __init__(self, keyring: Keyring, *, fingerprint_key: bytes) -> None:
        self._keyring = keyring
        self._fingerprint_key = fingerprint_key

    def seal(self, path: str, text: str) -> bytes:
        """What may be stored of a secret."""
        return self._keyring.seal(text.encode(), context=path)

    def open(self, path: str, sealed: bytes) -> str:
        """The secret; raises WrongKey or Tampered."""
        return self._keyring.open(sealed, context=path).decode()

    def fingerprint(self, path: str, text: str) -> str:
        """What may be shown of a secret in logs and history."""
        keyed = hmac.new(self._fingerprint_key, f"{path}\0{text}".encode(), sha256)
        return keyed.hexdigest()[:_FINGERPRINT_CHARACTERS]
