"""Secrets at rest: each opens in its own place only, and the files hold no plain text."""

from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from libs.crypto import Keyring, Tampered, WrongKey
from libs.sql.engine import Database, open_database
from libs.sql.migrations import migrate
from services.config import migrations
from services.config.store import SqlSettingStore
from services.config.tables import setting, setting_revision
from services.config.vault import Vault
from tests.conformance.config.conftest import CATALOGUE, ROOT, MakeStore, open_vault

SECRETS = [spec.path for spec in CATALOGUE if spec.secret]
TEXTS = {path: f"sesame-{number}-opens" for number, path in enumerate(SECRETS)}


@pytest.fixture
async def vault(store: SqlSettingStore, database: Database) -> Vault:
    """The vault of a database in which every secret setting is set."""
    await store.save(TEXTS, version=0, actor="admin")
    return await open_vault(database)


async def test_every_stored_secret_opens_under_its_own_setting(vault: Vault, database: Database) -> None:
    assert {path: await vault.open(path, sealed) for path, sealed in await stored(database)} == TEXTS


async def test_no_stored_secret_opens_under_another_setting(vault: Vault, database: Database) -> None:
    for (_, sealed), (path, _) in permutations(await stored(database), 2):
        with pytest.raises(Tampered):
            await vault.open(path, sealed)


async def test_the_secret_of_a_revision_is_not_the_secret_of_the_setting(vault: Vault, database: Database) -> None:
    async with database.reading() as connection:
        rows = (await connection.execute(select(setting_revision.c.path, setting_revision.c.sealed))).all()

    assert len(rows) == len(SECRETS)
    for row in rows:
        with pytest.raises(Tampered):
            await vault.open(row.path, row.sealed)


@pytest.mark.parametrize("flipped", range(8))
async def test_a_bit_that_was_flipped_in_the_database_makes_the_setting_unreadable(
    store: SqlSettingStore, database: Database, flipped: int
) -> None:
    await store.save({"lidarr.api_key": "open sesame"}, version=0, actor="admin")
    [(path, sealed)] = await stored(database)
    byte = len(sealed) * flipped // 8
    async with database.writing() as connection:
        damaged = bytes(each ^ (1 << flipped) * (index == byte) for index, each in enumerate(sealed))
        await connection.execute(update(setting).values(sealed=damaged))

    held = await store.load()

    assert held.texts == {}
    assert held.unreadable == {path}


async def test_secrets_of_the_release_before_are_read(
    make_store: MakeStore, store: SqlSettingStore, database: Database
) -> None:
    await store.save(TEXTS, version=0, actor="admin")
    legacy = Keyring.from_secret(ROOT)
    async with database.writing() as connection:
        for path, text in TEXTS.items():
            sealed = legacy.seal(text.encode(), context=path)
            await connection.execute(update(setting).where(setting.c.path == path).values(sealed=sealed))

    assert (await (await make_store()).load()).texts == TEXTS


@given(key=st.binary(min_size=32, max_size=32), other=st.binary(min_size=32, max_size=32), text=st.binary(max_size=99))
def test_a_sealed_secret_opens_under_no_other_key(key: bytes, other: bytes, text: bytes) -> None:
    sealed = Keyring(key).seal(text, context="lidarr.api_key")

    if key != other:
        with pytest.raises(WrongKey):
            Keyring(other).open(sealed, context="lidarr.api_key")


async def test_equal_secrets_of_two_settings_have_different_fingerprints(vault: Vault) -> None:
    assert len({vault.fingerprint(path, "sesame") for path in SECRETS}) == len(SECRETS)


async def test_a_copy_of_the_database_holds_no_secret_in_plain(tmp_path: Path) -> None:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/config.db", schema="config") as database:
        await migrate(database, package=migrations.__name__, head=migrations.HEAD)
        store = SqlSettingStore(database, catalogue=CATALOGUE, vault=await open_vault(database))
        await store.save({**TEXTS, "lidarr.url": "http://plainly-there"}, version=0, actor="admin")
        await store.save({"lidarr.api_key": "sesame-renewed"}, version=1, actor="admin")
        kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())  # the WAL too, while it is in use

    assert b"plainly-there" in kept
    assert b"sesame" not in kept


async def stored(database: Database) -> list[tuple[str, bytes]]:
    async with database.reading() as connection:
        rows = (await connection.execute(select(setting.c.path, setting.c.sealed))).all()
    return [(row.path, row.sealed) for row in rows]
