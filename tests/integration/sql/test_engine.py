"""Transactions, and what becomes of a database's faults."""

import asyncio
import gc
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Column, MetaData, Table, Text, insert, select, text
from sqlalchemy.exc import IntegrityError

from libs.errors import AppError, InvalidArgument
from libs.sql import engine
from libs.sql.engine import Database, before_commit, open_database
from libs.sql.errors import DatabaseUnavailable, StorageFull
from libs.sql.trips import connect
from libs.sql.types import Json, UtcMillis, millis, now_ms
from libs.sql.url import database_url as url_of
from tests.support.postgres import run_postgres
from tests.support.waiting import eventually

things = Table(
    "thing", MetaData(), Column("id", Text, primary_key=True), Column("document", Json), Column("at", UtcMillis)
)


@pytest.fixture
async def thing_database(database: Database) -> Database:
    async with database.writing() as connection:
        await connection.run_sync(things.metadata.create_all)
    return database


async def ids(database: Database) -> list[str]:
    async with database.reading() as connection:
        return sorted(await connection.scalars(select(things.c.id)))


async def test_a_write_is_committed_at_its_end(thing_database: Database) -> None:
    async with thing_database.writing() as connection:
        await connection.execute(insert(things).values(id="a"))

    assert await ids(thing_database) == ["a"]


async def test_an_error_undoes_the_write(thing_database: Database) -> None:
    async def fail() -> None:
        async with thing_database.writing() as connection:
            await connection.execute(insert(things).values(id="a"))
            raise InvalidArgument("no")

    with pytest.raises(InvalidArgument):
        await fail()

    assert await ids(thing_database) == []


async def test_a_cancelled_write_is_undone_and_blocks_nobody(thing_database: Database) -> None:
    inside = asyncio.Event()

    async def write() -> None:
        async with thing_database.writing() as connection:
            await connection.execute(insert(things).values(id="a"))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await inside.wait()
    task.cancel()
    await asyncio.wait([task])

    async with thing_database.writing() as connection:
        await connection.execute(insert(things).values(id="b"))
    assert await ids(thing_database) == ["b"]


async def test_readers_do_not_wait_for_a_writer(thing_database: Database) -> None:
    async with asyncio.timeout(10), thing_database.writing() as connection:
        await connection.execute(insert(things).values(id="a"))

        assert await ids(thing_database) == []


async def test_a_conflict_passes_through_for_the_store_to_translate(thing_database: Database) -> None:
    async with thing_database.writing() as connection:
        await connection.execute(insert(things).values(id="a"))

    with pytest.raises(IntegrityError):
        async with thing_database.writing() as connection:
            await connection.execute(insert(things).values(id="a"))


async def test_what_goes_before_the_commit_runs_last(thing_database: Database) -> None:
    order: list[str] = []

    async def last(connection: object) -> None:
        order.append("last")

    async with thing_database.writing() as connection:
        before_commit(connection, last)
        order.append("first")

    assert order == ["first", "last"]


async def test_documents_and_times_come_back_as_they_were(thing_database: Database) -> None:
    document = {"title": "Ænima", "tracks": [1, None, 2.5], "nested": {"yes": True}}
    async with thing_database.writing() as connection:
        moment = await connection.scalar(select(now_ms())) or 0
        await connection.execute(insert(things).values(id="a", document=document, at=now_ms()))
        row = (await connection.execute(select(things))).one()

    assert row.document == document
    assert row.at.tzinfo is not None
    assert 0 <= millis(row.at) - moment < 10_000


async def test_writers_of_many_tasks_take_turns(thing_database: Database) -> None:
    async def write(number: int) -> None:
        async with thing_database.writing() as connection:
            count = len((await connection.scalars(select(things.c.id))).all())  # read, then write
            await connection.execute(insert(things).values(id=f"{number:02}-{count}"))

    await asyncio.gather(*[write(number) for number in range(30)])

    assert len(await ids(thing_database)) == 30


async def test_a_ping_answers(thing_database: Database) -> None:
    await thing_database.ping()


def test_the_file_of_a_service_is_in_the_data_folder() -> None:
    assert url_of(home=Path("/data"), service="webhooks", configured=None) == "sqlite+aiosqlite:////data/webhooks.db"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_a_configured_server_is_used(scheme: str) -> None:
    configured = f"{scheme}://me:pass@host:5433/music?sslmode=require"

    url = url_of(home=Path("/data"), service="webhooks", configured=configured)

    assert url == "postgresql+asyncpg://me:pass@host:5433/music?ssl=require"


@pytest.mark.parametrize("configured", ["mysql://me:hush@host/x", "nonsense hush", "postgresql://me:hush@h/x?magic=1"])
def test_a_wrong_url_is_refused_without_its_password(configured: str) -> None:
    with pytest.raises(InvalidArgument, match="DATABASE_URL") as refusal:
        url_of(home=Path("/data"), service="webhooks", configured=configured)

    assert "hush" not in refusal.value.message


async def opened(url: str) -> None:
    async with open_database(url, schema="test") as database:
        await database.ping()


async def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    await opened(f"sqlite+aiosqlite:///{tmp_path}/not/yet/there.db")

    assert (tmp_path / "not/yet/there.db").exists()


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is a text, not a database, whatever its name says" * 20)

    with pytest.raises(DatabaseUnavailable, match=rf"{tmp_path}/x\.db .*not an SQLite database"):
        await opened(f"sqlite+aiosqlite:///{tmp_path}/x.db")


async def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE thing (id TEXT)")
    connection.close()
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 4000)

    with pytest.raises(DatabaseUnavailable, match=rf"{tmp_path}/x\.db .*damaged"):
        await opened(f"sqlite+aiosqlite:///{path}")


async def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.db").mkdir()

    with pytest.raises(DatabaseUnavailable, match=rf"{tmp_path}/x\.db .*cannot be opened"):
        await opened(f"sqlite+aiosqlite:///{tmp_path}/x.db")


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DatabaseUnavailable, match=rf"{tmp_path}/file/x\.db"):
        await opened(f"sqlite+aiosqlite:///{tmp_path}/file/x.db")


async def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/x.db", schema="test") as database:
        async with database.writing() as connection:
            await connection.run_sync(things.metadata.create_all)
            await connection.execute(insert(things).values(id="a"))
            await connection.execute(text("PRAGMA max_page_count = 10"))  # as a full disk: SQLITE_FULL

        with pytest.raises(StorageFull, match=r"x\.db is full"):
            async with database.writing() as connection:
                await connection.execute(insert(things).values(id="b" * 1_000_000))

        assert await ids(database) == ["a"]


async def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1:1/music") as refusal:
        await opened("postgresql+asyncpg://me:hush@127.0.0.1:1/music")

    assert "hush" not in refusal.value.message


async def test_a_database_that_the_server_does_not_have_is_named(postgres_url: str) -> None:
    url = postgres_url.replace("postgresql", "postgresql+asyncpg") + "-missing"

    with pytest.raises(DatabaseUnavailable, match="there is no such database"):
        await opened(url)


async def test_a_server_that_crashes_is_unavailable_until_it_is_back() -> None:
    with run_postgres() as server:
        url = server.url().replace("postgresql", "postgresql+asyncpg")
        async with open_database(url, schema="test") as database:
            server.stop()
            with pytest.raises(DatabaseUnavailable):
                await database.ping()

            server.start()
            async with asyncio.timeout(20):
                while not await answers(database):
                    await asyncio.sleep(0.01)


async def answers(database: Database) -> bool:
    try:
        await database.ping()
    except AppError:
        return False
    return True


async def test_who_stands_still_in_a_transaction_keeps_nobody_waiting_for_ever(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "STALLED_MS", 500)
    url, lock = postgres_url.replace("postgresql", "postgresql+asyncpg"), text("SELECT pg_advisory_xact_lock(1)")

    async def stand_still(stalled: Database, waiting: Database) -> None:
        async with stalled.writing() as connection:
            await connection.execute(lock)
            async with waiting.writing() as other, asyncio.timeout(60):
                await other.execute(lock)

    async with open_database(url, schema="one") as stalled, open_database(url, schema="one") as waiting:
        with pytest.raises(DatabaseUnavailable):
            await stand_still(stalled, waiting)


async def test_services_on_one_server_do_not_see_each_others_tables(postgres_url: str) -> None:
    url = postgres_url.replace("postgresql", "postgresql+asyncpg")
    async with open_database(url, schema="one") as one, open_database(url, schema="two") as two:
        for database in (one, two):
            async with database.writing() as connection:
                await connection.run_sync(things.metadata.create_all)
        async with one.writing() as connection:
            await connection.execute(insert(things).values(id="a"))

        assert (await ids(one), await ids(two)) == (["a"], [])


def test_a_test_server_ends_with_the_process_that_started_it() -> None:
    starter = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from tests.support.postgres import run_postgres
with run_postgres() as server:
    print(server.pid, server.home, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", starter], capture_output=True, text=True)
    pid, home = ended.stdout.split()
    deadline = time.monotonic() + 20
    while psutil.pid_exists(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    shutil.rmtree(home)  # a killed launcher leaves it behind

    assert ended.returncode == -9
    assert not psutil.pid_exists(int(pid))


async def test_a_connection_that_is_dropped_ends_its_thread_without_a_warning(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    connection = await connect(str(tmp_path / "test.db"))
    assert set(threading.enumerate()) > before

    del connection
    gc.collect()  # a warning about what it finds would fail this test

    async def ended() -> bool:
        return set(threading.enumerate()) <= before

    await eventually(ended)
