"""The data keys of a database: made once, opened by the right root key alone, and never overwritten by a wrong one."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import MetaData, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.crypto import Keyring, RootKeys, Tampered, derive
from libs.crypto.keyring import sealed_with
from libs.crypto.safe import Safe, WrongRootKey, open_safe, require_current
from libs.crypto.tables import data_key_table
from libs.sql.engine import Database

OLD, NEW, STRANGE = b"old root key" * 3, b"new root key" * 3, b"strange root key" * 3
BEFORE, DURING, AFTER = RootKeys(current=OLD), RootKeys(current=NEW, previous=(OLD,)), RootKeys(current=NEW)
LASTING = {"audit trail": "webhooks audit trail"}

metadata = MetaData()
table = data_key_table(metadata)


@pytest.fixture(autouse=True)
async def made(database: Database) -> None:
    async with database.writing() as connection:
        await connection.run_sync(metadata.create_all)


async def opened(database: Database, roots: RootKeys = BEFORE) -> Safe:
    return await open_safe(database, table, roots, lasting=LASTING)


async def seal(database: Database, safe: Safe, text: bytes = b"sesame") -> bytes:
    async with database.writing() as connection:
        return (await safe.sealer(connection)).seal(text, context="here")


async def rows(database: Database) -> Sequence[Any]:
    async with database.reading() as connection:
        return (await connection.execute(select(table).order_by(table.c.id))).all()


async def test_what_was_sealed_opens_after_a_restart(database: Database) -> None:
    sealed = await seal(database, await opened(database))

    assert await (await opened(database)).open(sealed, context="here") == b"sesame"


async def test_processes_that_start_at_once_make_one_key(database: Database) -> None:
    safes = await asyncio.gather(*(opened(database) for _ in range(8)))
    sealed = await seal(database, safes[0])

    assert [await safe.open(sealed, context="here") for safe in safes] == [b"sesame"] * 8
    assert len(await rows(database)) == 3  # for records, for what the release before sealed, for the audit trail


async def test_of_processes_that_start_at_once_with_different_root_keys_one_kind_is_refused(database: Database) -> None:
    starts = [opened(database, RootKeys(current=bytes([n]) * 32)) for n in range(4)]
    outcomes = await asyncio.gather(*starts, return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Safe"] + ["WrongRootKey"] * 3
    assert len(await rows(database)) == 3


async def test_another_root_key_is_refused_and_nothing_is_overwritten(database: Database) -> None:
    await opened(database)
    before = await rows(database)

    with pytest.raises(WrongRootKey, match=r"LOCKGROOVE_SECRET_KEY.*secret\.key.*nothing was changed"):
        await opened(database, RootKeys(current=STRANGE))
    assert await rows(database) == before


async def test_what_the_release_before_left_must_fit_before_a_key_is_made(database: Database) -> None:
    async def fits(_: AsyncConnection) -> bool:
        return False

    with pytest.raises(WrongRootKey):
        await open_safe(database, table, BEFORE, fits=fits)
    assert await rows(database) == []


async def test_what_the_release_before_sealed_opens_also_when_its_root_key_is_gone(database: Database) -> None:
    sealed = Keyring.from_secret(OLD).seal(b"sesame", context="here")
    for roots in (BEFORE, DURING):
        await opened(database, roots)

    assert await (await opened(database, AFTER)).open(sealed, context="here") == b"sesame"


@pytest.mark.parametrize("column", ["purpose", "state", "epoch", "sealed"])
async def test_a_data_key_that_was_changed_refuses_the_start_and_stays(database: Database, column: str) -> None:
    await opened(database)
    values: dict[str, Any] = {"purpose": "x", "state": "x", "epoch": 7}
    async with database.writing() as connection:
        damaged = (await connection.execute(select(table).where(table.c.state == "ACTIVE"))).first()
        assert damaged is not None
        values["sealed"] = damaged.sealed[:-1] + bytes([damaged.sealed[-1] ^ 1])
        await connection.execute(update(table).where(table.c.id == damaged.id).values({column: values[column]}))
    before = await rows(database)

    with pytest.raises(Tampered):
        await opened(database)
    assert await rows(database) == before


async def test_a_missing_data_key_refuses_the_start(database: Database) -> None:
    await opened(database)
    async with database.writing() as connection:
        await connection.execute(delete(table).where(table.c.purpose == "records", table.c.state == "ACTIVE"))

    with pytest.raises(Tampered, match="restore the database from a backup"):
        await opened(database)


@pytest.mark.parametrize("order", [(BEFORE, DURING), (DURING, BEFORE), (DURING, AFTER), (AFTER, DURING)])
async def test_during_a_change_of_the_root_key_processes_before_and_after_their_restart_read_each_other(
    database: Database, order: tuple[RootKeys, RootKeys]
) -> None:
    await opened(database)
    await opened(database, DURING)
    one, two = [await opened(database, roots) for roots in order]

    assert await two.open(await seal(database, one), context="here") == b"sesame"
    assert await one.open(await seal(database, two), context="here") == b"sesame"
    assert one.key_for("audit trail") == two.key_for("audit trail") == derive(OLD, "webhooks audit trail")


async def test_a_new_data_key_amid_a_change_of_the_root_key_is_everybodys(database: Database) -> None:
    old, new = await opened(database), await opened(database, DURING)
    await new.renew(1)

    assert await old.open(await seal(database, new), context="here") == b"sesame"
    assert await new.open(await seal(database, old), context="here") == b"sesame"
    await require_current(database, table, DURING)


@pytest.mark.parametrize("rolled_out", [[DURING], [DURING, AFTER]])
async def test_who_does_not_know_the_newest_root_key_makes_no_data_key_that_would_be_lost_with_his(
    database: Database, rolled_out: Sequence[RootKeys]
) -> None:
    old = await opened(database)
    for roots in rolled_out:
        await opened(database, roots)
    before = await rows(database)

    with pytest.raises(WrongRootKey, match="restart with it"):
        await old.renew(1)
    assert await rows(database) == before


async def test_a_restart_with_the_new_root_key_alone_leaves_nothing_under_the_old_one(database: Database) -> None:
    sealed = await seal(database, await opened(database))
    for roots in (DURING, AFTER):
        await opened(database, roots)

    with pytest.raises(WrongRootKey):
        await opened(database)
    assert await (await opened(database, AFTER)).open(sealed, context="here") == b"sesame"
    assert {row.sealed_before for row in await rows(database)} == {None}


async def test_a_restart_that_dies_before_its_commit_leaves_the_old_root_key_in_force(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await opened(database)
    before, write, written = await rows(database), Safe._write, list[bytes]()

    async def die(safe: Safe, connection: AsyncConnection, key: Any) -> None:
        await write(safe, connection, key)
        written.append(key.id)
        if len(written) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Safe, "_write", die)
        with pytest.raises(KeyboardInterrupt):
            await opened(database, DURING)

    assert await rows(database) == before
    await opened(database)
    await opened(database, DURING)


async def test_what_is_sealed_anew_once_is_left_alone_by_the_next_restart(database: Database) -> None:
    for roots in (BEFORE, DURING):
        await opened(database, roots)
    before = await rows(database)

    await asyncio.gather(*(opened(database, DURING) for _ in range(4)))

    assert await rows(database) == before


async def test_the_old_root_key_is_needed_until_a_restart_with_both(database: Database) -> None:
    with pytest.raises(WrongRootKey, match="no data key yet"):
        await require_current(database, table, BEFORE)
    await opened(database)
    with pytest.raises(WrongRootKey, match="needs the previous root key still"):
        await require_current(database, table, DURING)

    await opened(database, DURING)

    await require_current(database, table, DURING)


async def test_nobody_makes_a_new_data_key_while_somebody_seals(database: Database) -> None:
    writer, rotator = await opened(database), await opened(database)
    async with database.writing() as connection:
        keyring = await writer.sealer(connection)
        rotation = asyncio.create_task(rotator.renew(1))
        await asyncio.wait([rotation], timeout=0.2)
        assert not rotation.done()
        assert (await writer.newest(connection)).id == keyring.current_id

    assert await rotation


async def test_who_waited_for_a_rotation_seals_with_the_new_key(database: Database) -> None:
    writer, rotator = await opened(database), await opened(database)
    async with database.writing() as connection:
        assert await rotator.renew_in(connection, 1)
        waiting = asyncio.create_task(seal(database, writer))
        await asyncio.wait([waiting], timeout=0.2)
        assert not waiting.done()
    record = await waiting

    async with database.reading() as connection:
        assert sealed_with(record) == (await writer.newest(connection)).id
        assert (await writer.newest(connection)).epoch == 1


async def test_a_start_with_another_root_key_and_a_rotation_do_not_wait_for_each_other(database: Database) -> None:
    rotator = await opened(database)
    for epoch in range(1, 6):  # older keys whose rows may come before that of the newest
        await rotator.renew(epoch)
    async with database.writing() as connection:
        await rotator.hold(connection)
        start = asyncio.create_task(opened(database, DURING))
        await asyncio.wait([start], timeout=0.2)
        assert await rotator.forget_older(connection) == 6

    await start
    assert len(await rows(database)) == 2
