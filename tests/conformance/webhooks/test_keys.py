"""The first start of webhooks on a database without data keys: what lies there decides which root key is right."""

import pytest
from sqlalchemy import func, insert, select

from libs.crypto import Keyring, RootKeys, derive
from libs.crypto.safe import WrongRootKey
from libs.sql.engine import Database
from libs.sql.types import now_ms
from libs.work.outbox import SqlOutbox
from libs.work.proof import Prover
from services.webhooks.keys import AUDIT_TRAIL, open_keys
from services.webhooks.tables import data_key, source_secret, work

ROOT, NEW = b"root key of these tests, 32 bytes", b"another root key, also of 32 bytes"
BEFORE, DURING, AFTER = RootKeys(current=ROOT), RootKeys(current=NEW, previous=(ROOT,)), RootKeys(current=NEW)
REPAIR = {"job_id": "sources/lidarr", "version": 0, "from_state": "", "to_state": "", "actor": "a", "detail": {}}


async def leave_a_secret(database: Database, root: bytes = ROOT) -> None:
    """As the release before sealed it."""
    sealed = Keyring.from_secret(root).seal(b"sesame", context="source ours secret sec-1")
    row = {"id": "sec-1", "source": "ours", "sealed": sealed, "fingerprint": "f", "created": now_ms()}
    async with database.writing() as connection:
        await connection.execute(insert(source_secret).values(row))


async def leave_a_trail(database: Database, steps: int = 2) -> None:
    """As the release before signed it."""
    for _ in range(steps):
        outbox = SqlOutbox(database, work, chain_key=derive(ROOT, "webhooks audit trail"))
        async with database.writing() as connection:
            outbox.append(connection, REPAIR)


async def made(database: Database) -> int:
    async with database.reading() as connection:
        return await connection.scalar(select(func.count()).select_from(data_key)) or 0


async def test_a_root_key_that_opens_no_secret_is_refused_before_it_makes_a_key(database: Database) -> None:
    await leave_a_secret(database)

    with pytest.raises(WrongRootKey):
        await open_keys(database, AFTER)
    assert await made(database) == 0
    await open_keys(database, BEFORE)


@pytest.mark.parametrize("steps", [1, 3])
async def test_a_root_key_that_did_not_sign_the_trail_is_refused_before_it_makes_a_key(
    database: Database, steps: int
) -> None:
    await leave_a_trail(database, steps)

    with pytest.raises(WrongRootKey):
        await open_keys(database, AFTER)
    assert await made(database) == 0
    await open_keys(database, BEFORE)


async def test_a_secret_that_nobody_can_open_any_more_refuses_nobody_who_signed_the_trail(database: Database) -> None:
    await leave_a_secret(database, NEW)
    await leave_a_trail(database)

    assert (await open_keys(database, BEFORE)).root_key_id


async def test_the_trail_is_proven_by_the_same_key_after_each_step_of_a_new_root_key(database: Database) -> None:
    await leave_a_trail(database)
    for roots in (DURING, AFTER):
        key = (await open_keys(database, roots)).key_for(AUDIT_TRAIL)
        async with database.writing() as connection:
            SqlOutbox(database, work, chain_key=key).append(connection, REPAIR)

        assert (await Prover(database, work, key).prove(0, 100)).fault == ""


async def test_the_first_start_with_a_new_root_key_reads_the_secrets_of_the_release_before(database: Database) -> None:
    await leave_a_secret(database)
    for roots in (DURING, AFTER):
        safe = await open_keys(database, roots)

    async with database.reading() as connection:
        sealed = (await connection.execute(select(source_secret.c.sealed))).scalar_one()
    assert await safe.open(sealed, context="source ours secret sec-1") == b"sesame"
