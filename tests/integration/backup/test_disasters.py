"""The procedures of docs/backup.md, as they stand there."""

import shutil
from importlib import import_module
from pathlib import Path

import pytest
from sqlalchemy import text

from libs import ids
from libs.crypto.rootkey import load_root_keys
from libs.crypto.safe import WrongRootKey, open_safe
from libs.errors import Unavailable
from libs.schema.upgrade import open_service_database
from libs.sql.engine import Database
from libs.sql.errors import DatabaseUnavailable
from services.config.tables import data_key
from services.webhooks.admission import open_admission
from services.webhooks.domain.event import Receipt
from services.webhooks.domain.inbox import Inbox
from tests.support.commands import lockgroove
from tests.support.event_store import OpenSources, QuietLog, always, open_event_store
from tests.support.full_disk import files_limited_to
from tests.support.installations import Installed, installed
from tests.support.lidarr_webhooks import album, delivery, download


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


async def webhook_to(database: Database, album_id: int, **fields: object) -> object:
    """What becomes of a webhook."""
    store = await open_event_store(database)
    async with open_admission(store, committed=lambda _size: None) as admission:
        inbox = Inbox(admission, OpenSources(), ready=always, log=QuietLog(), new_id=lambda: ids.new("evt"))
        [outcome] = await inbox.ingest([delivery(download(album=album(album_id), **fields))])
    return outcome


async def test_on_a_full_disk_webhooks_are_refused_until_there_is_room_and_backups_leave_nothing(
    place: Installed,
) -> None:
    folder = Path(place.environment["LOCKGROOVE_BACKUP_PATH"])
    with files_limited_to(40_000):
        made = await lockgroove("backup", environment=place.environment)
    assert (made.status, list(folder.glob("*.lgb"))) == (1, [])

    async with place.open("webhooks") as database:
        first = await webhook_to(database, 1)
        await fill_up(database)
        refused = await webhook_to(database, 2, blob="x" * 500_000)
        await make_room(database)
        again = await webhook_to(database, 2, blob="x" * 500_000)
        assert (await webhook_to(database, 1)) == Receipt(event_id=event_of(first), duplicate=True)
    assert isinstance(refused, Unavailable)
    assert refused.code_reason == "STORAGE_FULL"
    assert isinstance(again, Receipt)
    assert not again.duplicate


async def fill_up(database: Database) -> None:
    """The disk has no page more for the database."""
    async with database.writing() as connection:
        pages = await connection.scalar(text("PRAGMA page_count"))
        await connection.execute(text(f"PRAGMA max_page_count = {pages}"))


async def make_room(database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(text("PRAGMA max_page_count = 1000000"))


def event_of(outcome: object) -> str:
    assert isinstance(outcome, Receipt)
    return outcome.event_id


async def test_an_older_release_works_on_the_databases_of_a_newer_one(place: Installed) -> None:
    for service, table in {"config": "setting", "webhooks": "event", "acquisition": "call_slot"}.items():
        async with place.open(service) as database, database.writing() as connection:
            await connection.execute(text(f"ALTER TABLE {table} ADD COLUMN later TEXT"))
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    for service in ("config", "webhooks", "acquisition"):
        package = f"services.{service}.migrations"
        head = import_module(package).HEAD
        async with open_service_database(service, home=place.home, configured=None, package=package, head=head):
            pass
    await place.write("new")

    told = await lockgroove("migrate", "status", environment=place.environment)
    assert (told.status, told.output.count("of a newer release")) == (0, 3)
    assert await place.hold("old", "new")
