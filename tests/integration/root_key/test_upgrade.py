"""The first start of config with data keys on what a release without them left."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update

from libs.crypto import Keyring
from libs.crypto.safe import WrongRootKey
from libs.sql.engine import Database, open_database
from libs.sql.types import now_ms
from libs.sql.url import database_url
from services.config.ground import Ground, open_ground
from services.config.settings import Settings
from services.config.tables import config_state, data_key, setting
from tests.support.new_home import make_schema

ROOT, NEW = "root-key-of-the-release-before-0123456789", "root-key-of-this-release-0123456789abcdef"


@pytest.fixture
async def left(tmp_path: Path, dialect: str, request: pytest.FixtureRequest) -> Settings:
    """A home with a canary and a secret, sealed by what the root key was derived to."""
    url = None if dialect == "sqlite" else str(request.getfixturevalue("postgres_url"))
    await make_schema("config", home=tmp_path, configured=url)
    settings, ring = Settings(home=tmp_path, database=url, secret_key=ROOT), Keyring.from_secret(ROOT.encode())
    async with opened(settings) as database, database.writing() as connection:
        await connection.execute(update(config_state).values(canary=ring.seal(b"canary", context="canary")))
        sealed = ring.seal(b"sesame", context="lidarr.api_key")
        row = {"path": "lidarr.api_key", "sealed": sealed, "updated_at": now_ms()}
        await connection.execute(insert(setting).values(row))
    return settings


async def test_another_root_key_is_refused_before_it_makes_a_key(left: Settings) -> None:
    with pytest.raises(WrongRootKey):
        async with open_ground(replace(left, secret_key=NEW)):
            pass

    async with opened(left) as database, database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(data_key)) == 0
    assert await secret(left) == "sesame"


async def test_its_secrets_open_also_when_the_root_key_is_replaced_at_once(left: Settings) -> None:
    during = replace(left, secret_key=NEW, previous_secret_key=ROOT)

    assert [await secret(settings) for settings in (during, replace(left, secret_key=NEW))] == ["sesame"] * 2


async def test_its_fingerprints_stay(left: Settings) -> None:
    prints = set()
    for settings in (left, replace(left, secret_key=NEW, previous_secret_key=ROOT), replace(left, secret_key=NEW)):
        async with open_ground(settings) as ground:
            prints.add(ground.vault.fingerprint("lidarr.api_key", "sesame"))

    assert len(prints) == 1


async def secret(settings: Settings) -> str:
    async with open_ground(settings) as ground:
        return await ground.vault.open("lidarr.api_key", await _sealed(ground))


async def _sealed(ground: Ground) -> bytes:
    async with ground.database.reading() as connection:
        sealed: bytes = (await connection.execute(select(setting.c.sealed))).scalar_one()
    return sealed


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    url = database_url(home=settings.home, service="config", configured=settings.database)
    async with open_database(url, schema="lockgroove_config") as database:
        yield database
