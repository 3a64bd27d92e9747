"""The procedures of docs/backup.md, as they stand there."""

import shutil
from pathlib import Path

import pytest

from libs.crypto.rootkey import load_root_keys
from libs.crypto.safe import WrongRootKey, open_safe
from libs.sql.errors import DatabaseUnavailable
from services.config.tables import data_key
from tests.support.commands import lockgroove
from tests.support.installations import Installed, installed


@pytest.fixture
async def place(tmp_path: Path) -> Installed:
    """An installation whose backups lie elsewhere, sealed with a passphrase."""
    (tmp_path / "passphrase").write_text("correct horse battery staple\n")
    return await installed(
        tmp_path / "home",
        LOCKGROOVE_BACKUP_PATH=str(tmp_path / "elsewhere"),
        LOCKGROOVE_BACKUP_PASSPHRASE_FILE=str(tmp_path / "passphrase"),
    )


async def backed_up(place: Installed) -> str:
    """The path of a backup."""
    made = await lockgroove("backup", environment=place.environment)
    assert made.status == 0, made.output
    [path] = Path(place.environment["LOCKGROOVE_BACKUP_PATH"]).glob("*.lgb")
    return str(path)


async def restored(place: Installed, path: str) -> None:
    done = await lockgroove("restore", path, "--yes", environment=place.environment)
    assert done.status == 0, done.output


async def open_secrets(place: Installed) -> None:
    """What the config service does at its start. Raises WrongRootKey."""
    async with place.open("config") as database:
        await open_safe(database, data_key, load_root_keys(place.home))


async def test_a_lost_data_folder_comes_back(place: Installed) -> None:
    path = await backed_up(place)
    shutil.rmtree(place.home)

    await restored(place, path)

    await open_secrets(place)
    assert await place.hold("old")


async def test_a_damaged_database_file_comes_back(place: Installed) -> None:
    path = await backed_up(place)
    file = place.home / "config.db"
    file.write_bytes(b"\xff" * 8192 + file.read_bytes()[8192:])
    with pytest.raises(DatabaseUnavailable, match="restore a backup"):
        await open_secrets(place)

    await restored(place, path)

    await open_secrets(place)
    assert await place.hold("old")


async def test_a_lost_root_key_comes_back_with_a_backup_sealed_by_a_passphrase(place: Installed) -> None:
    path = await backed_up(place)
    (place.home / "secret.key").unlink()
    with pytest.raises(WrongRootKey):
        await open_secrets(place)  # the start has made a new key
    (place.home / "secret.key").rename(place.home / "secret.key.new")

    await restored(place, path)

    await open_secrets(place)


async def test_without_the_root_key_acquisitions_stay_and_the_rest_begins_anew(place: Installed) -> None:
    (place.home / "secret.key").unlink()
    (aside := place.home / "unreadable").mkdir()
    for name in ("config.db", "webhooks.db"):
        (place.home / name).rename(aside / name)
    (place.home / "acquisition.db").rename(kept := place.home / "kept")
    again = await installed(place.home)  # a first start, around what is kept
    kept.rename(place.home / "acquisition.db")

    await open_secrets(again)
    assert (await again.words())["acquisition"] == ["old"]
