"""Authenticated encryption of small secrets: AES-256-GCM, bound to the place that a secret belongs to.

A record is: version (1 byte), key id (8 bytes), nonce (12 bytes), ciphertext with tag. Version, key id and context are
authenticated too, so that a record opens only where it was sealed.
"""

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from libs.crypto.derivation import derive
from libs.errors import FailedPrecondition, Internal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"
ID_BYTES = 8
_NONCE_BYTES = 12  # NIST SP 800-38D, 5.2.1.1; random ones are safe for 2**32 records a key
_TAG_BYTES = 16
_HEADER_BYTES = len(_VERSION) + ID_BYTES + _NONCE_BYTES


class WrongKey(FailedPrecondition):
    """The record was sealed with a key that is not in the ring."""

    reason = "WRONG_KEY"


class Tampered(Internal):
    """The record is not what was sealed, or it was sealed for another place."""

    reason = "TAMPERED"


@dataclass(frozen=True, slots=True)
class _Key:
    id: bytes
    cipher: "AESGCM" = field(repr=False)


class Keyring:
    """Seals with one key and opens with it or with retired ones."""

    def __init__(self, key: bytes, *retired: bytes) -> None:
        self._current = _key(key)
        self._keys = {each.id: each for each in (*map(_key, retired), self._current)}

    @classmethod
    def from_secret(cls, secret: bytes, *retired: bytes) -> "Keyring":
        """A ring whose keys are derived from root keys."""
        return cls(*(derive(each, "keyring") for each in (secret, *retired)))

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(sorted(id_.hex() for id_ in self._keys))}>"

    @property
    def current_id(self) -> bytes:
        """The id of the key that it seals with; it follows the version in each record."""
        return self._current.id

    def seal(self, plaintext: bytes, *, context: str) -> bytes:
        """A record that opens under the same context only: `settings/lidarr.api_key`."""
        header = _VERSION + self._current.id
        nonce = os.urandom(_NONCE_BYTES)
        return header + nonce + self._current.cipher.encrypt(nonce, plaintext, header + context.encode())

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """The plaintext of a record; raises WrongKey or Tampered."""
        from cryptography.exceptions import InvalidTag

        if len(sealed) < _HEADER_BYTES + _TAG_BYTES or sealed[:1] != _VERSION:
            raise Tampered(f"the secret of {context} is not a sealed record")
        header, nonce, rest = sealed[: 1 + ID_BYTES], sealed[1 + ID_BYTES : _HEADER_BYTES], sealed[_HEADER_BYTES:]
        key = self._keys.get(header[1:])
        if key is None:
            raise WrongKey(
                f"the secret of {context} was encrypted with another key: start with the LOCKGROOVE_SECRET_KEY or the"
                " secret.key that this data folder was made with, or set the secret again",
                metadata={"context": context},
            )
        try:
            return key.cipher.decrypt(nonce, rest, header + context.encode())
        except InvalidTag as error:
            raise Tampered(f"the secret of {context} was changed outside of lockgroove, or moved there") from error


def id_of(key: bytes) -> bytes:
    """The id that records under this key carry."""
    return derive(key, "key id")[:ID_BYTES]


def sealed_with(record: bytes) -> bytes:
    """The id of the key that a record was sealed with, as the record says."""
    return record[len(_VERSION) : len(_VERSION) + ID_BYTES]


def _key(key: bytes) -> _Key:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # OpenSSL's bindings: for those who need them

    return _Key(id_of(key), AESGCM(key))
