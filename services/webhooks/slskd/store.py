"""Which of slskd's events are stored."""

from collections.abc import Collection

from sqlalchemy import select

from libs.sql.engine import Database
from services.webhooks.tables import event

_STEP = 500  # keys a statement


class SqlKnownKeys:
    """The dedup keys of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self, source: str, keys: Collection[str]) -> frozenset[str]:
        """Those of the dedup keys under which an event of the source is stored."""
        wanted, found = list(keys), set[str]()
        async with self._database.reading() as connection:
            for start in range(0, len(wanted), _STEP):
                named = event.c.dedup_key.in_(wanted[start : start + _STEP])
                found |= set(await connection.scalars(select(event.c.dedup_key).where(event.c.source == source, named)))
        return frozenset(found)
