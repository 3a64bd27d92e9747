"""Secrets sealed and opened, each for its own place."""

import hmac
from hashlib import sha256

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.crypto.safe import Safe

_FINGERPRINT_CHARACTERS = 12


class Vault:
    """Seals secrets so that each opens only in its own place: as the value of a setting, as the token of a user.

    A fingerprint tells whether two values are equal, to those who hold the key; without it (in a copy of the database)
    nobody can try out passwords against it, as they could against a plain hash.
    """

    def __init__(self, safe: Safe) -> None:
        self._safe = safe

    async def seal(self, connection: AsyncConnection, place: str, text: str) -> bytes:
        """What may be stored of a secret, in this writing transaction; see `Safe.sealer`."""
        return (await self._safe.sealer(connection)).seal(text.encode(), context=place)

    async def open(self, place: str, sealed: bytes) -> str:
        """The secret; raises WrongKey or Tampered."""
        return (await self._safe.open(sealed, context=place)).decode()

    def fingerprint(self, path: str, text: str) -> str:
        """What may be shown of a secret in logs and history."""
        keyed = hmac.new(self._safe.key_for("fingerprints"), f"{path}\0{text}".encode(), sha256)
        return keyed.hexdigest()[:_FINGERPRINT_CHARACTERS]
