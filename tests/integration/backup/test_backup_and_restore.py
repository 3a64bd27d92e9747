"""What a backup holds comes back, whole or not at all."""

import asyncio
import errno
import shutil
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from deploy.cli.backups.making import make_backup
from deploy.cli.backups.restoring import OtherDialect, restore_backup
from deploy.cli.backups.standing import StillRunning
from libs.backup import header
from libs.backup.copies import copy_database
from libs.backup.dump import check_dump
from libs.backup.errors import CopyFailed, Damaged, NewerRelease, NoRoom, NotABackup, WrongBackupKey
from libs.backup.header import header_of
from libs.backup.pending import PENDING_RESTORE
from libs.backup.sqlite import check_sqlite
from libs.sql.url import database_url
from services.acquisition.tables import soulseek_search
from services.webhooks.tables import event_body
from tests.support.full_disk import files_limited_to
from tests.support.installations import NOW, Installed


async def test_what_was_there_comes_back_and_what_came_since_is_kept_aside(place: Installed) -> None:
    made = await make_backup(place.environment)
    await place.write("new")

    restored = await restore_backup(place.environment, made.path)

    assert await place.hold("old")
    assert restored.before
    async with place.open("webhooks") as database, database.reading() as connection:
        assert (await connection.scalars(select(event_body.c.body))).all() == [bytes(range(256))]
    async with place.open("acquisition") as database, database.writing() as connection:
        added = await connection.execute(insert(soulseek_search).values(sent=NOW).returning(soulseek_search.c.id))
        assert added.scalar_one() == 2, "numbers go on where they were"


async def test_a_copy_is_of_one_moment_while_others_write(place: Installed, tmp_path: Path) -> None:
    url = database_url(home=place.home, service="webhooks", configured=place.database)
    copying = asyncio.create_task(copy_database(url, "lockgroove_webhooks", target := tmp_path / "copy"))
    written = 0
    while not copying.done():
        written += 1
        await place.write(f"word {written}")  # an event and its body in one transaction
    await copying

    rows = check_sqlite(target) if place.database is None else check_dump(target)
    assert written
    assert 1 <= rows["event"] == rows["event_body"] <= written + 1
    assert target.stat().st_mode & 0o777 == 0o600


async def test_on_a_full_disk_no_half_backup_is_left_and_the_old_ones_stay(on_sqlite: Installed) -> None:
    first = await make_backup(on_sqlite.environment)

    with files_limited_to(40_000), pytest.raises(NoRoom):
        await make_backup(on_sqlite.environment)

    left = {path.name for path in first.path.parent.iterdir()}
    assert left == {first.path.name, ".backup.lock"}


async def test_what_a_killed_backup_left_goes_with_the_next(on_sqlite: Installed) -> None:
    folder = on_sqlite.home / "backups"
    (folder / ".making-abc").mkdir(parents=True)
    (folder / ".making-abc" / "config.db").write_bytes(b"half")
    (folder / ".lockgroove-20260101T000000Z.lgb.1234.part").write_bytes(b"half")

    made = await make_backup(on_sqlite.environment)

    assert {path.name for path in folder.iterdir()} == {made.path.name, ".backup.lock"}


@pytest.mark.parametrize("spoil", ["cut", "changed", "not ours"])
async def test_a_damaged_file_changes_nothing(on_sqlite: Installed, spoil: str) -> None:
    path = (await make_backup(on_sqlite.environment)).path
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes({"cut": bytes(content[:-100]), "changed": bytes(content), "not ours": b"PK"}[spoil])
    await on_sqlite.write("new")

    with pytest.raises((Damaged, NotABackup), match=path.name):
        await restore_backup(on_sqlite.environment, path)
    assert await on_sqlite.hold("old", "new")


async def test_a_disk_that_fails_before_files_change_places_changes_nothing(
    on_sqlite: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = (await make_backup(on_sqlite.environment, verify=False)).path
    await on_sqlite.write("new")

    def fail(place: Path) -> None:
        if place == on_sqlite.home:
            raise OSError(errno.EIO, "Input/output error", str(place))

    monkeypatch.setattr("libs.backup.files.sync", fail)

    with pytest.raises(CopyFailed):
        await restore_backup(on_sqlite.environment, path)
    assert not (on_sqlite.home / PENDING_RESTORE).exists()
    assert await on_sqlite.hold("old", "new")


async def test_another_root_key_is_told_which_one_the_file_wants(on_sqlite: Installed) -> None:
    path = (await make_backup(on_sqlite.environment)).path
    (on_sqlite.home / "secret.key").write_text("another-key-of-thirty-two-characters\n")

    with pytest.raises(WrongBackupKey, match=header_of(path).root_key_id):
        await restore_backup(on_sqlite.environment, path)


async def test_a_backup_of_a_newer_schema_names_the_release_that_it_needs(
    on_sqlite: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = (await make_backup(on_sqlite.environment)).path
    monkeypatch.setattr("services.config.migrations.HEAD", "0001")

    with pytest.raises(NewerRelease, match=header_of(path).release):
        await restore_backup(on_sqlite.environment, path)


async def test_a_release_that_does_not_know_the_schema_says_that_it_cannot_try_a_dump(on_postgres: Installed) -> None:
    async with on_postgres.open("config") as database, database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(NewerRelease, match="--no-verify"):
        await make_backup(on_postgres.environment)
    assert (await make_backup(on_postgres.environment, verify=False)).revisions["config"] == "9999"


async def test_a_backup_of_sqlite_does_not_go_into_postgresql(on_sqlite: Installed, postgres_url: str) -> None:
    path = (await make_backup(on_sqlite.environment)).path

    with pytest.raises(OtherDialect):
        await restore_backup({**on_sqlite.environment, "DATABASE_URL": postgres_url}, path)


async def test_nothing_is_restored_under_a_service_that_runs(place: Installed) -> None:
    path = (await make_backup(place.environment, verify=False)).path

    async with place.open("webhooks") as database:
        await database.ping()
        with pytest.raises(StillRunning):
            await restore_backup(place.environment, path)


async def test_a_trial_changes_nothing_and_may_be_made_beside_a_running_suite(on_sqlite: Installed) -> None:
    path = (await make_backup(on_sqlite.environment, verify=False)).path
    await on_sqlite.write("new")

    async with on_sqlite.open("webhooks") as database:
        await database.ping()
        tried = await restore_backup(on_sqlite.environment, path, verify_only=True)

    assert tried.verified_only
    assert await on_sqlite.hold("old", "new")


async def test_a_file_and_a_passphrase_bring_everything_back(on_sqlite: Installed, tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("correct horse battery staple\n")
    environment = {
        **on_sqlite.environment,
        "LOCKGROOVE_BACKUP_PATH": str(tmp_path / "elsewhere"),
        "LOCKGROOVE_BACKUP_PASSPHRASE_FILE": str(tmp_path / "passphrase"),
    }
    key = (on_sqlite.home / "secret.key").read_bytes()
    path = (await make_backup(environment)).path
    shutil.rmtree(on_sqlite.home)

    restored = await restore_backup(environment, path)

    assert restored.key_restored
    assert (on_sqlite.home / "secret.key").read_bytes() == key
    assert await on_sqlite.hold("old")


async def test_the_root_key_is_in_no_backup_that_it_seals(on_sqlite: Installed) -> None:
    key = (on_sqlite.home / "secret.key").read_bytes().strip()
    content = (await make_backup(on_sqlite.environment)).path.read_bytes()

    assert content.startswith(header.MAGIC)
    assert key not in content
    assert b"old" not in content
