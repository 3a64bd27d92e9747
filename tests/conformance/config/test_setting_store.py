"""What a store of settings promises, on each kind of database."""

import asyncio

import pytest
from sqlalchemy import insert, select, update

from libs.sql.engine import Database
from libs.sql.types import now_ms
from services.config.domain.configuration import VersionMovedError
from services.config.domain.keys import given_admin_key
from services.config.domain.values import Stored
from services.config.store import SqlSettingStore
from services.config.tables import setting, setting_revision

URL = {"lidarr.url": "http://127.0.0.1:8686"}
SECRETS = {"lidarr.api_key": "open sesame", "soulseek.password": "crème brûlée 🎵"}


async def save(store: SqlSettingStore, **changes: str | None) -> None:
    named = {path.replace("__", "."): text for path, text in changes.items()}
    await store.save(named, version=await store.version(), actor="admin")


async def test_a_fresh_store_holds_nothing(store: SqlSettingStore) -> None:
    held = await store.load()

    assert (held.texts, held.unreadable) == ({}, frozenset())


async def test_what_is_saved_is_held(store: SqlSettingStore) -> None:
    await store.save({**URL, **SECRETS}, version=0, actor="admin")

    assert (await store.load()).texts == {**URL, **SECRETS}


async def test_a_new_value_replaces_the_old_one(store: SqlSettingStore) -> None:
    await save(store, lidarr__api_key="old")
    await save(store, lidarr__api_key="new")

    assert (await store.load()).texts == {"lidarr.api_key": "new"}


async def test_a_value_that_is_forgotten_is_gone(store: SqlSettingStore) -> None:
    await save(store, lidarr__url="http://a", lidarr__api_key="key")
    await save(store, lidarr__url=None)

    assert (await store.load()).texts == {"lidarr.api_key": "key"}


async def test_a_change_makes_a_new_version(store: SqlSettingStore) -> None:
    await store.save(URL, version=0, actor="admin")

    assert (await store.version(), (await store.load()).version) == (1, 1)


async def test_a_change_for_an_older_version_changes_nothing(store: SqlSettingStore) -> None:
    await store.save(URL, version=0, actor="admin")

    with pytest.raises(VersionMovedError):
        await store.save({"lidarr.url": "http://b"}, version=0, actor="admin")
    assert (await store.load()).texts == URL


async def test_of_simultaneous_changes_for_one_version_one_is_made(store: SqlSettingStore) -> None:
    changes = [store.save({"lidarr.url": f"http://{n}"}, version=0, actor="admin") for n in range(8)]
    outcomes = await asyncio.gather(*changes, return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["VersionMovedError"] * 7
    assert await store.version() == 1


async def test_the_history_tells_who_changed_what(store: SqlSettingStore, database: Database) -> None:
    await store.save(URL, version=0, actor="ada")
    await store.save({"lidarr.url": None}, version=1, actor="bob")

    columns = (setting_revision.c.revision, setting_revision.c.actor, setting_revision.c.value)
    async with database.reading() as connection:
        rows = (await connection.execute(select(*columns).order_by(setting_revision.c.revision))).all()
    assert [tuple(row) for row in rows] == [(1, "ada", URL["lidarr.url"]), (2, "bob", None)]


async def test_the_history_of_a_secret_is_its_fingerprint(store: SqlSettingStore, database: Database) -> None:
    for version, key in enumerate(["one", "two", "one"]):
        await store.save({"lidarr.api_key": key}, version=version, actor="admin")

    columns = (setting_revision.c.fingerprint, setting_revision.c.value)
    async with database.reading() as connection:
        rows = (await connection.execute(select(*columns).order_by(setting_revision.c.revision))).all()
    assert [row.value for row in rows] == [None] * 3
    assert rows[0].fingerprint == rows[2].fingerprint != rows[1].fingerprint


async def test_a_secret_that_was_moved_to_another_setting_is_unreadable(
    store: SqlSettingStore, database: Database
) -> None:
    await save(store, lidarr__api_key="open sesame")
    async with database.writing() as connection:
        await connection.execute(update(setting).values(path="soulseek.password"))

    assert await store.load() == Stored(version=1, texts={}, unreadable=frozenset({"soulseek.password"}))


async def test_an_unreadable_secret_can_be_set_again(store: SqlSettingStore, database: Database) -> None:
    await save(store, lidarr__api_key="open sesame")
    async with database.writing() as connection:
        await connection.execute(update(setting).values(sealed=b"damaged"))
    await save(store, lidarr__api_key="open sesame")

    assert (await store.load()).texts == {"lidarr.api_key": "open sesame"}


async def test_a_setting_of_a_newer_release_is_left_alone(store: SqlSettingStore, database: Database) -> None:
    async with database.writing() as connection:
        row = {"path": "future.thing", "value": "x", "updated_at": now_ms()}
        await connection.execute(insert(setting).values(**row))
    await save(store, lidarr__url="http://a")

    assert (await store.load()).texts == {"lidarr.url": "http://a"}
    async with database.reading() as connection:
        assert await connection.scalar(select(setting.c.value).where(setting.c.path == "future.thing")) == "x"


async def test_a_value_that_the_type_no_longer_allows_is_unreadable(store: SqlSettingStore, database: Database) -> None:
    async with database.writing() as connection:
        row = {"path": "soulseek.listen_port", "value": "sixty", "updated_at": now_ms()}
        await connection.execute(insert(setting).values(**row))

    assert (await store.load()).unreadable == {"soulseek.listen_port"}


async def test_other_fallbacks_than_at_the_last_start_are_a_change(store: SqlSettingStore) -> None:
    await store.note_fallbacks({"lidarr.url": "http://a"}, None)
    before = await store.version()
    await store.note_fallbacks({"lidarr.url": "http://b"}, None)

    assert await store.version() == before + 1


async def test_another_given_key_than_at_the_last_start_is_a_change(store: SqlSettingStore) -> None:
    await store.note_fallbacks({}, given_admin_key("x" * 16))
    before = await store.version()
    await store.note_fallbacks({}, given_admin_key("y" * 16))

    assert await store.version() == before + 1


async def test_the_same_fallbacks_as_at_the_last_start_are_no_change(store: SqlSettingStore) -> None:
    await store.note_fallbacks({"lidarr.url": "http://a"}, given_admin_key("x" * 16))
    before = await store.version()
    await store.note_fallbacks({"lidarr.url": "http://a"}, given_admin_key("x" * 16))

    assert await store.version() == before
