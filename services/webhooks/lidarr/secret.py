"""The secret that Lidarr delivers with: the configured one, else one that we made, sealed among those of the source."""

import hashlib
import secrets
from collections.abc import Callable

from sqlalchemy import insert, select

from libs.crypto import Tampered, WrongKey
from libs.crypto.safe import Safe
from libs.sql.engine import Database
from libs.sql.types import now_ms
from services.webhooks.tables import source_secret

SOURCE = "lidarr"
_BYTES = 32  # of chance
_FINGERPRINT = 12  # hexadecimal digits


class RegistrationSecret:
    """Which secret that is; several replicas share it."""

    def __init__(
        self, database: Database, safe: Safe, *, configured: Callable[[], str], new_id: Callable[[], str]
    ) -> None:
        self._database = database
        self._safe = safe
        self._configured = configured
        self._new_id = new_id

    async def find(self) -> str:
        """The secret, empty before the first one was made.

        Raises DatabaseUnavailable, or SettingsAbsent while the settings are not known.
        """
        return self._configured() or await self._kept()

    async def make(self) -> str:
        """The secret, made if need be; only under the lease of the registration. Raises like `find`."""
        return await self.find() or await self._made()

    async def _kept(self) -> str:
        columns = source_secret.c
        lasting = select(columns.id, columns.sealed).where(columns.source == SOURCE, columns.expires.is_(None))
        async with self._database.reading() as connection:
            rows = (await connection.execute(lasting.order_by(columns.created.desc(), columns.id))).all()
        for row in rows:
            if opened := await self._opened(row.id, row.sealed):
                return opened
        return ""

    async def _opened(self, secret_id: str, sealed: bytes) -> str:
        try:
            return (await self._safe.open(sealed, context=_context(secret_id))).decode()
        except (WrongKey, Tampered):  # of another root key: nobody can use it any more
            return ""

    async def _made(self) -> str:
        secret_id, secret = self._new_id(), secrets.token_urlsafe(_BYTES)
        row = {
            "id": secret_id,
            "source": SOURCE,
            "fingerprint": hashlib.sha256(secret.encode()).hexdigest()[:_FINGERPRINT],
            "created": now_ms(),
        }
        async with self._database.writing() as connection:
            sealer = await self._safe.sealer(connection)
            sealed = sealer.seal(secret.encode(), context=_context(secret_id))
            await connection.execute(insert(source_secret).values(row | {"sealed": sealed}))
        return secret


def _context(secret_id: str) -> str:
    return f"source {SOURCE} secret {secret_id}"
