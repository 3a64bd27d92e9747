"""Secrets of sources, sealed and opened, each for its own place."""

import hashlib
from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.crypto.safe import Safe
from services.webhooks.sources.record import NewSecret, StoredSecret

_FINGERPRINT = 12  # hexadecimal digits


class Vault:
    """Seals secrets so that each opens only as the secret of its own source."""

    def __init__(self, safe: Safe, *, new_id: Callable[[], str]) -> None:
        self._safe = safe
        self._new_id = new_id

    def draft(self, secret: str) -> NewSecret:
        """A secret to be kept."""
        fingerprint = hashlib.sha256(secret.encode()).hexdigest()[:_FINGERPRINT]
        return NewSecret(id=self._new_id(), text=secret, fingerprint=fingerprint)

    async def seal(self, connection: AsyncConnection, source: str, secret: NewSecret) -> bytes:
        """What may be kept of a secret, in this writing transaction; see `Safe.sealer`."""
        sealer = await self._safe.sealer(connection)
        return sealer.seal(secret.text.encode(), context=_context(source, secret.id))

    async def open(self, source: str, stored: StoredSecret) -> str:
        """The secret; raises WrongKey or Tampered."""
        return (await self._safe.open(stored.sealed, context=_context(source, stored.id))).decode()


def _context(source: str, secret_id: str) -> str:
    return f"source {source} secret {secret_id}"
