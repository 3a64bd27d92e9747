"""Rotation of data keys: whoever dies, writes or helps meanwhile, every secret stays and no old ciphertext does."""

import asyncio
import os
import signal
import sys
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from structlog.testing import capture_logs

from libs.crypto import Keyring
from libs.sql.engine import Database, open_database
from tests.support import sealed_records as records
from tests.support.sealed_records import Died, Mortal, Replica, opened, record
from tests.support.waiting import eventually

TEXTS = {f"name-{number}": f"text of {number}" for number in range(10)}
EXPECTED = {("owner", name): text for name, text in TEXTS.items()}


@pytest.fixture
async def replica(database: Database) -> Replica:
    """One with ten records that its first data key sealed."""
    return await begun(database)


async def begun(database: Database) -> Replica:
    await records.make_tables(database)
    replica = await opened(database)
    await replica.rotate(0)  # forgets the key of the release before
    async with database.writing() as connection:
        keyring = await replica.safe.sealer(connection)
    await records.fill(database, keyring, TEXTS)
    return replica


async def assert_rotated(database: Database, *, before: str) -> None:
    """One data key is left, it is not the one before, and every record names it and opens."""
    [kept] = await records.known_keys(database)
    assert kept != before
    assert await records.key_ids(database) == {kept}
    assert await (await opened(database)).texts() == EXPECTED


async def test_every_secret_is_sealed_with_the_new_key_and_the_old_one_is_gone(
    database: Database, replica: Replica
) -> None:
    [before] = await records.key_ids(database)

    progress = await replica.rotate(1)

    await assert_rotated(database, before=before)
    assert (progress.epoch, progress.done, progress.unreadable, progress.total) == (1, 16, 0, 16)


async def test_a_rotation_that_died_at_any_of_its_commits_is_ended_by_the_next_process(database: Database) -> None:
    def die() -> None:
        raise Died

    async def rotate(at: str) -> int:
        mortal: Any = Mortal(database, at, die=die)
        await (await opened(mortal)).rotate(1)
        return int(mortal.commits)

    await begun(database)
    commits = await rotate("")
    for at in (f"{where}:{commit}" for commit in range(1, commits + 1) for where in ("before", "after")):
        [before] = await records.known_keys((await begun(database)).database)
        with pytest.raises(Died):
            await rotate(at)

        await (await opened(database)).rotate(1)

        await assert_rotated(database, before=before)
    assert commits > 6  # else it died nowhere in between


@pytest.mark.parametrize("kill_at", ["before:3", "after:5"])
async def test_a_rotation_that_was_killed_is_ended_by_the_next_process(database_url: str, kill_at: str) -> None:
    async with open_database(database_url, schema=records.SCHEMA) as database:
        [before] = await records.known_keys((await begun(database)).database)
        killed = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.sealed_records", database_url, "1"),
            env={**os.environ, "SIGKILL_AT": kill_at},
        )
        assert await killed.wait() == -signal.SIGKILL
        assert before in await records.key_ids(database)  # else there was nothing left to do

        await (await opened(database)).rotate(1)

        await assert_rotated(database, before=before)


async def test_what_is_written_during_rotations_stays(database: Database, replica: Replica) -> None:
    written = dict(EXPECTED)
    stop = asyncio.Event()

    async def write(owner: str) -> None:
        writer = await opened(database)
        for number in range(1_000_000):
            name = f"name-{number % 7}"
            await writer.put(owner, name, f"{number}")
            written[owner, name] = f"{number}"
            if stop.is_set():
                return

    async def rotate() -> None:
        for epoch in range(1, 6):
            await replica.rotate(epoch)
        stop.set()

    await asyncio.gather(rotate(), *(write(owner) for owner in ("owner", "one", "two")))
    await replica.rotate(6)

    assert await (await opened(database)).texts() == written
    assert await records.key_ids(database) == set(await records.known_keys(database))


async def test_replicas_that_rotate_at_once_do_it_once(database: Database, replica: Replica) -> None:
    [before] = await records.key_ids(database)
    others = [await opened(database) for _ in range(2)]

    ended = await asyncio.gather(*(each.rotate(1) for each in (replica, *others)))

    await assert_rotated(database, before=before)
    assert {each.key_id for each in ended} == set(await records.known_keys(database))


async def test_a_new_key_waits_for_whoever_seals_with_the_one_before(database: Database, replica: Replica) -> None:
    [before] = await records.key_ids(database)
    other = await opened(database)
    async with database.writing() as connection:
        keyring = await replica.safe.sealer(connection)
        rotation = asyncio.create_task(other.rotate(1))
        await eventually(lambda: waits(database, rotation), every=0.01)
        late = keyring.seal(b"late", context="owner/name-0/first")
        await connection.execute(update(record).where(record.c.name == "name-0").values(first=late, second=None))
    await rotation

    assert before not in await records.key_ids(database)
    assert (await replica.texts())["owner", "name-0"] == "late"


async def test_a_row_that_somebody_holds_keeps_the_key_that_it_needs(database: Database, replica: Replica) -> None:
    [before] = await records.key_ids(database)
    async with database.writing() as connection:
        held = select(record.c.first).where(record.c.name == "name-0").with_for_update()
        await connection.execute(held)
        rotation = asyncio.create_task(replica.rotate(1))
        await eventually(lambda: goes_round(database), every=0.01)
        assert not rotation.done()
    await rotation

    await assert_rotated(database, before=before)


async def waits(database: Database, rotation: "asyncio.Task[Any]") -> bool:
    """Whether it waits for a lock; it must not have ended without. On SQLite there is one writer at a time."""
    assert not rotation.done()
    if database.dialect == "sqlite":
        return True
    async with database.reading() as connection:
        return bool(await connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


async def goes_round(database: Database) -> bool:
    """Whether it has sealed all other rows; on SQLite it waits."""
    async with database.reading() as connection:
        newest = await (await opened(database)).safe.newest(connection)
        left = select(func.count()).where(func.substr(record.c.first, 2, 8) != newest.id)
        return database.dialect == "sqlite" or await connection.scalar(left) == 1


async def test_a_replica_that_knows_nothing_of_a_rotation_opens_what_it_left(
    database: Database, replica: Replica
) -> None:
    other = await opened(database)

    await replica.rotate(1)

    assert await other.texts() == EXPECTED


async def test_records_of_the_release_before_are_sealed_with_a_data_key_by_the_first_pass(database: Database) -> None:
    await records.make_tables(database)
    legacy = Keyring.from_secret(records.ROOTS.current)
    await records.fill(database, legacy, TEXTS)
    [before] = await records.key_ids(database)

    await (await opened(database)).rotate(0)

    await assert_rotated(database, before=before)


async def test_a_replica_that_a_newer_release_has_overtaken_forgets_no_key(
    database: Database, replica: Replica
) -> None:
    [before] = await records.key_ids(database)
    async with database.writing() as connection:
        await connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
        await connection.execute(text("INSERT INTO alembic_version VALUES ('0002')"))

    progress = await replica.rotate(1)

    assert progress.done == progress.total
    assert before in await records.known_keys(database)


class TestADamagedRecord:
    """It might still be readable to somebody: neither it nor the key before is destroyed."""

    @pytest.fixture
    async def damaged(self, database: Database, replica: Replica) -> bytes:
        """One of which a bit was flipped."""
        at = record.c.name == "name-4"
        async with database.writing() as connection:
            sealed: bytes = (await connection.execute(select(record.c.first).where(at))).scalar_one()
            damaged = sealed[:-1] + bytes([sealed[-1] ^ 1])
            await connection.execute(update(record).where(at).values(first=damaged))
        return damaged

    async def test_it_stays_as_it_is_and_is_counted(self, database: Database, replica: Replica, damaged: bytes) -> None:
        progress = await replica.rotate(1)

        async with database.reading() as connection:
            assert await connection.scalar(select(record.c.first).where(record.c.name == "name-4")) == damaged
        assert (progress.is_current, progress.unreadable, progress.total - progress.done) == (True, 1, 1)

    async def test_the_key_before_is_not_forgotten(self, database: Database, replica: Replica, damaged: bytes) -> None:
        await replica.rotate(1)

        assert damaged[1:9].hex() in await records.known_keys(database)

    async def test_its_place_is_logged_once(self, replica: Replica, damaged: bytes) -> None:
        with capture_logs() as logs:
            await replica.rotate(1)
            await replica.rotate(1)

        told = [each["place"] for each in logs if each["event"] == "secret.unreadable"]
        assert told == ["record.first of owner, name-4"]

    async def test_once_it_is_set_again_the_key_before_is_forgotten(
        self, database: Database, replica: Replica, damaged: bytes
    ) -> None:
        await replica.rotate(1)
        await replica.put("owner", "name-4", TEXTS["name-4"])

        await replica.rotate(1)

        await assert_rotated(database, before=damaged[1:9].hex())
