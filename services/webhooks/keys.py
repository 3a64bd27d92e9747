"""The keys of this service, opened with its database."""

from collections.abc import AsyncIterator
from functools import partial

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.crypto import Keyring, RootKeys, Tampered, WrongKey, derive
from libs.crypto.safe import Safe, open_safe
from libs.sql.engine import Database
from libs.work.proof import Prover
from services.webhooks.tables import data_key, source_secret, work

AUDIT_TRAIL = "audit trail"

_SEED = "webhooks audit trail"


async def open_keys(database: Database, roots: RootKeys) -> Safe:
    """The data keys, and the one that signs the audit trail. Raises WrongRootKey, Tampered or DatabaseUnavailable."""
    return await open_safe(
        database, data_key, roots, lasting={AUDIT_TRAIL: _SEED}, fits=partial(_fits, database, roots)
    )


async def _fits(database: Database, roots: RootKeys, connection: AsyncConnection) -> bool:
    """Whether the root keys fit what releases without data keys left: a secret that opens, or the end of the trail."""
    found = [each async for each in _secrets_open(roots, connection)]
    if any(found):
        return True
    newest = await connection.scalar(select(func.max(work.chain.c.last_seq)))
    if newest is None:
        return not found
    return any([await _signed(database, derive(root, _SEED), newest) for root in roots.all])


async def _secrets_open(roots: RootKeys, connection: AsyncConnection) -> AsyncIterator[bool]:
    ring = Keyring.from_secret(*roots.all)
    for row in await connection.execute(select(source_secret.c.id, source_secret.c.source, source_secret.c.sealed)):
        try:
            ring.open(row.sealed, context=f"source {row.source} secret {row.id}")
            yield True
        except (WrongKey, Tampered):
            yield False


async def _signed(database: Database, key: bytes, newest: int) -> bool:
    """Whether this key made the newest step of the trail."""
    before = select(work.chain.c.last_seq).where(work.chain.c.last_seq < newest)
    async with database.reading() as connection:
        last = await connection.scalar(before.order_by(work.chain.c.last_seq.desc()).limit(1))
    proof = await Prover(database, work, key).prove(newest - 1 if last is None else last, 1)
    return not proof.fault
