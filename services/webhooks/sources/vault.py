"""Secrets of sources, sealed and opened, each for its own place."""

import hashlib
from collections.abc import Callable

from libs.crypto import Keyring
from services.webhooks.sources.record import NewSecret, StoredSecret

_FINGERPRINT = 12  # hexadecimal digits


class Vault:
    """Seals secrets so that each opens only as the secret of its own source."""

    def __init__(self, keyring: Keyring, *, new_id: Callable[[], str]) -> None:
        self._keyring = keyring
        self._new_id = new_id

    def seal(self, source: str, secret: str) -> NewSecret:
        """What may be kept of a secret."""
        secret_id, encoded = self._new_id(), secret.encode()
        return NewSecret(
            id=secret_id,
            sealed=self._keyring.seal(encoded, context=_context(source, secret_id)),
            fingerprint=hashlib.sha256(encoded).hexdigest()[:_FINGERPRINT],
        )

    def open(self, source: str, stored: StoredSecret) -> str:
        """The secret; raises WrongKey or Tampered."""
        return self._keyring.open(stored.sealed, context=_context(source, stored.id)).decode()


def _context(source: str, secret_id: str) -> str:
    return f"source {source} secret {secret_id}"
