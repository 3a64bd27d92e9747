"""A database is copied before it is migrated, or it is not migrated."""

import stat
from collections import namedtuple
from pathlib import Path

import pytest
from sqlalchemy import text

from libs.schema.keeping import KEPT, CopyRefused, keeper
from libs.sql.engine import Database
from libs.sql.migrations import Keep, downgrade, migrate, revision

EXAMPLE = "tests.migration.sql.stopping"
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
async def schema(database: Database) -> str:
    if database.dialect == "sqlite":
        return ""
    async with database.reading() as connection:
        return str(await connection.scalar(text("SELECT current_schema()")))


@pytest.fixture
def keep(database: Database, schema: str, tmp_path: Path) -> Keep:
    keep = keeper(database, schema=schema, service="example", home=tmp_path, environment={})
    assert keep is not None
    return keep


def copies(home: Path) -> list[Path]:
    return sorted((home / "backups" / "before-migration").glob("*"))


async def test_a_copy_of_its_owner_alone_says_whose_it_is_and_from_where_to_where(
    database: Database, keep: Keep, tmp_path: Path
) -> None:
    await migrate(database, package=EXAMPLE, head="0001", keep=keep)
    assert not copies(tmp_path)  # a new database holds nothing

    await migrate(database, package=EXAMPLE, head="0002", keep=keep)

    [copy] = copies(tmp_path)
    assert copy.name.startswith("example-0001-0002-2")
    assert (copy.stat().st_size > 0, stat.S_IMODE(copy.stat().st_mode)) == (True, 0o600)


async def test_only_the_newest_copies_stay(database: Database, keep: Keep, tmp_path: Path) -> None:
    await migrate(database, package=EXAMPLE, head="0002")
    for _ in range(KEPT):
        await downgrade(database, package=EXAMPLE, target="0001", losses_allowed=True, keep=keep)
        await migrate(database, package=EXAMPLE, head="0002", keep=keep)

    assert [copy.name[:17] for copy in copies(tmp_path)] == [
        "example-0001-0002",
        "example-0001-0002",
        "example-0002-0001",
    ]


async def test_without_room_for_a_copy_nothing_is_migrated(
    database: Database, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(database, package=EXAMPLE, head="0001")
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(9, 9, 0))

    with pytest.raises(CopyRefused, match=r"0 MB free.*set LOCKGROOVE_MIGRATION_BACKUP=off"):
        await migrate(database, package=EXAMPLE, head="0002", keep=keep)

    async with database.reading() as connection:
        assert await revision(connection) == "0001"


async def test_who_forbids_copies_gets_none(database: Database, tmp_path: Path) -> None:
    environment = {"LOCKGROOVE_MIGRATION_BACKUP": "off"}

    assert keeper(database, schema="", service="example", home=tmp_path, environment=environment) is None
