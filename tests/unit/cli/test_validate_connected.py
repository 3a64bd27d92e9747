"""What `lockgroove validate` finds by asking: ports, databases, root key, Redis."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.cli.environment.databases import databases, sealed, server
from deploy.cli.environment.finding import Finding, Level
from deploy.cli.environment.ports import ports
from deploy.cli.environment.redis import redis
from libs.crypto.rootkey import RootKeys
from libs.crypto.safe import open_safe
from libs.sql.engine import open_database
from libs.sql.url import database_url
from services.config.tables import data_key
from tests.support.new_home import move_in
from tests.support.ports import free_ports

KEY = "a-root-key-that-is-long-enough-0123456789"
CANARY = "canary-7f3a"


@pytest.fixture
def own_ports() -> dict[str, str]:
    names = ("LOCKGROOVE_CONFIG_LISTEN", "LOCKGROOVE_WEBHOOKS_LISTEN", "LOCKGROOVE_ACQUISITION_LISTEN")
    gateway, *others = free_ports(4)
    listens = {name: f"127.0.0.1:{port}" for name, port in zip(names, others, strict=True)}
    return {"LOCKGROOVE_PORT": str(gateway), **listens}


def told(found: list[Finding]) -> list[tuple[Level, str]]:
    return [(each.level, each.subject) for each in found]


async def test_a_port_that_another_program_holds_is_found(own_ports: dict[str, str]) -> None:
    assert await ports(own_ports) == []

    async with _answering(int(own_ports["LOCKGROOVE_PORT"]), "something else"):
        assert told(await ports(own_ports)) == [(Level.ERROR, "LOCKGROOVE_PORT")]


async def test_ports_that_our_own_suite_holds_are_fine(own_ports: dict[str, str]) -> None:
    config = int(own_ports["LOCKGROOVE_CONFIG_LISTEN"].rpartition(":")[2])
    async with (
        _answering(int(own_ports["LOCKGROOVE_PORT"]), '{"status":"alive"}'),
        _answering(config, ""),
        _answering(config + 1000, "lockgroove_up 1"),
    ):
        assert await ports(own_ports) == []


async def test_a_schema_of_a_newer_release_is_a_warning(tmp_path: Path) -> None:
    await move_in(tmp_path)
    home = {"LOCKGROOVE_HOME": str(tmp_path)}
    assert await databases(home) == []

    with sqlite3.connect(tmp_path / "webhooks.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    assert told(await databases(home)) == [(Level.WARNING, "the database of webhooks")]


async def test_a_file_that_is_no_database_is_found(tmp_path: Path) -> None:
    (tmp_path / "config.db").write_bytes(b"not a database" * 100)

    (wrong,) = await databases({"LOCKGROOVE_HOME": str(tmp_path)})

    assert wrong.level is Level.ERROR
    assert "not an SQLite database" in wrong.text


async def test_a_root_key_that_does_not_open_the_database_is_found(tmp_path: Path) -> None:
    await move_in(tmp_path)
    url = database_url(home=tmp_path, service="config", configured=None)
    async with open_database(url, schema="lockgroove_config") as database:
        await open_safe(database, data_key, RootKeys(current=KEY.encode()))
    home = {"LOCKGROOVE_HOME": str(tmp_path)}

    assert await sealed({**home, "LOCKGROOVE_SECRET_KEY": KEY}) == []
    assert told(await sealed({**home, "LOCKGROOVE_SECRET_KEY": KEY + "x"})) == [(Level.ERROR, "LOCKGROOVE_SECRET_KEY")]
    assert "secret.key" in (await sealed(home))[0].text


async def test_a_postgresql_that_is_right_is_fine_and_one_that_is_away_is_told_once(
    postgres_url: str, tmp_path: Path
) -> None:
    right = {"DATABASE_URL": postgres_url, "LOCKGROOVE_HOME": str(tmp_path)}
    away = {**right, "DATABASE_URL": f"postgresql://me:{CANARY}@127.0.0.1:{free_ports(1)[0]}/base"}

    assert [*await databases(right), *await server(right)] == []
    assert told(await databases(away)) == [(Level.ERROR, "DATABASE_URL")]
    assert CANARY not in str(await databases(away))


async def test_a_redis_that_is_away_is_a_warning_that_tells_no_password() -> None:
    found = await redis({"REDIS_URL": f"redis://:{CANARY}@127.0.0.1:{free_ports(1)[0]}/0"})

    assert told(found) == [(Level.WARNING, "REDIS_URL")]
    assert CANARY not in str(found)


@asynccontextmanager
async def _answering(port: int, body: str) -> AsyncIterator[None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.0 200 OK\r\n\r\n{body}".encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port):
        yield
