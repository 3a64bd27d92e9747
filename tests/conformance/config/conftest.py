"""A store of settings on each kind of database."""

from collections.abc import Awaitable, Callable

import pytest

from libs.crypto import RootKeys
from libs.crypto.safe import open_safe
from libs.sql.engine import Database
from libs.sql.migrations import migrate
from libs.sql.paging import PageTokens
from services.config import migrations
from services.config.catalogue import load_catalogue
from services.config.history import SqlHistory
from services.config.store import SqlSettingStore
from services.config.tables import data_key
from services.config.vault import Vault

ROOT = b"r" * 32
KEPT = 4  # revisions
CATALOGUE = load_catalogue()

MakeStore = Callable[..., Awaitable[SqlSettingStore]]


@pytest.fixture
async def make_store(database: Database) -> MakeStore:
    """Makes stores on the migrated database, each with its root key."""
    await migrate(database, package=migrations.__name__, head=migrations.HEAD)

    async def make(root: bytes = ROOT) -> SqlSettingStore:
        return SqlSettingStore(database, catalogue=CATALOGUE, vault=await open_vault(database, root), kept=KEPT)

    return make


@pytest.fixture
async def store(make_store: MakeStore) -> SqlSettingStore:
    return await make_store()


@pytest.fixture
async def history(store: SqlSettingStore, database: Database) -> SqlHistory:
    """The history of `store`."""
    vault = await open_vault(database)
    return SqlHistory(database, catalogue=CATALOGUE, vault=vault, tokens=PageTokens(ROOT), kept=KEPT)


async def open_vault(database: Database, root: bytes = ROOT) -> Vault:
    """The vault of a migrated database."""
    lasting = {"fingerprints": "config fingerprints"}
    return Vault(await open_safe(database, data_key, RootKeys(current=root), lasting=lasting))
