"""Secrets at rest: each opens under its own path only, and the files hold no plain text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.crypto import Keyring, Tampered
from libs.sql.engine import open_database
from libs.sql.migrations import migrate
from services.config import migrations
from services.config.catalogue import load_catalogue
from services.config.store import SqlSettingStore
from services.config.vault import Vault

ROOT = b"r" * 32
CATALOGUE = load_catalogue()
SECRETS = [spec.path for spec in CATALOGUE if spec.secret]
VAULT = Vault(Keyring.from_secret(ROOT), fingerprint_key=ROOT)


@given(path=st.sampled_from(SECRETS), text=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_sealed_secret_opens_under_its_own_path(path: str, text: str) -> None:
    assert VAULT.open(path, VAULT.seal(path, text)) == text


@given(paths=st.lists(st.sampled_from(SECRETS), min_size=2, max_size=2, unique=True), text=st.text(alphabet="abc"))
def test_a_sealed_secret_opens_under_no_other_path(paths: list[str], text: str) -> None:
    sealed = VAULT.seal(paths[0], text)

    with pytest.raises(Tampered):
        VAULT.open(paths[1], sealed)


@given(text=st.text(alphabet="abc"))
def test_equal_secrets_of_two_settings_have_different_fingerprints(text: str) -> None:
    assert VAULT.fingerprint(SECRETS[0], text) != VAULT.fingerprint(SECRETS[1], text)


async def test_a_copy_of_the_database_holds_no_secret_in_plain(tmp_path: Path) -> None:
    secrets = {path: f"sesame-{number}-opens-{path}" for number, path in enumerate(SECRETS)}
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/config.db", schema="config") as database:
        await migrate(database, package=migrations.__name__, head=migrations.HEAD)
        store = SqlSettingStore(database, catalogue=CATALOGUE, vault=VAULT)
        await store.save({**secrets, "lidarr.url": "http://plainly-there"}, version=0, actor="admin")
        await store.save({"lidarr.api_key": "sesame-renewed"}, version=1, actor="admin")
        kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())  # the WAL too, while it is in use

    assert b"plainly-there" in kept
    assert b"sesame" not in kept
