"""A store of settings on each kind of database."""

from collections.abc import Callable

import pytest

from libs.crypto import Keyring
from libs.sql.engine import Database
from libs.sql.migrations import migrate
from services.config import migrations
from services.config.catalogue import load_catalogue
from services.config.store import SqlSettingStore
from services.config.vault import Vault

ROOT = b"r" * 32
CATALOGUE = load_catalogue()

MakeStore = Callable[..., SqlSettingStore]


@pytest.fixture
async def make_store(database: Database) -> MakeStore:
    """Makes stores on the migrated database, each with its root key."""
    await migrate(database, package=migrations.__name__, head=migrations.HEAD)

    def make(root: bytes = ROOT) -> SqlSettingStore:
        return SqlSettingStore(
            database, catalogue=CATALOGUE, vault=Vault(Keyring.from_secret(root), fingerprint_key=root)
        )

    return make


@pytest.fixture
def store(make_store: MakeStore) -> SqlSettingStore:
    return make_store()
