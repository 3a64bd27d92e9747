"""What the history of settings promises, on each kind of database; four revisions are kept."""

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from libs.sql.engine import Database
from services.config.domain.history import Change, Origin, RevisionUnknown
from services.config.history import SqlHistory
from services.config.store import SqlSettingStore
from services.config.tables import setting_revision
from tests.conformance.config.conftest import KEPT

PATHS = ["lidarr.url", "lidarr.api_key", "lidarr.root_folder"]
CHANGES = st.dictionaries(st.sampled_from(PATHS), st.sampled_from([None, "a", "b", "c"]), min_size=1)


async def save(store: SqlSettingStore, changes: Mapping[str, str | None], *, origin: Origin = Origin.UPDATE) -> int:
    version = await store.version()
    await store.save(changes, version=version, actor="ada", origin=origin)
    return version + 1


async def urls(store: SqlSettingStore, count: int) -> list[int]:
    return [await save(store, {"lidarr.url": f"http://{number}"}) for number in range(count)]


async def numbers(history: SqlHistory, *, size: int = 0, token: str = "", path: str = "") -> tuple[list[int], str]:
    revisions, next_token = await history.page(size=size, token=token, path=path)
    return [revision.number for revision in revisions], next_token


async def test_a_revision_tells_who_did_what_how(store: SqlSettingStore, history: SqlHistory) -> None:
    await save(store, {"lidarr.api_key": "sesame"})
    number = await save(store, {"lidarr.url": "http://a", "lidarr.api_key": None}, origin=Origin.IMPORT)
    revision = await history.get(number)

    assert (revision.actor, revision.origin) == ("ada", Origin.IMPORT)
    assert revision.changes == (Change(path="lidarr.api_key"), Change(path="lidarr.url", value="http://a"))
    assert revision.changes[0].reset


async def test_a_secret_is_shown_by_its_fingerprint(store: SqlSettingStore, history: SqlHistory) -> None:
    same = [await history.get(await save(store, {"lidarr.api_key": text})) for text in ("sesame", "other", "sesame")]
    prints = [revision.changes[0].fingerprint for revision in same]

    assert prints[0] == prints[2] != prints[1]
    assert "sesame" not in repr(same)


async def test_revisions_come_newest_first_in_pages(store: SqlSettingStore, history: SqlHistory) -> None:
    made = await urls(store, 3)
    first, token = await numbers(history, size=2)
    second, last = await numbers(history, size=2, token=token)

    assert (first + second, last) == (made[::-1], "")


async def test_revisions_are_found_by_the_setting_that_they_changed(
    store: SqlSettingStore, history: SqlHistory
) -> None:
    wanted = await save(store, {"lidarr.url": "http://a", "lidarr.root_folder": "/music"})
    await save(store, {"lidarr.url": "http://b"})

    assert await numbers(history, path="lidarr.root_folder") == ([wanted], "")


async def test_only_the_newest_revisions_are_kept(store: SqlSettingStore, history: SqlHistory) -> None:
    made = await urls(store, KEPT + 3)

    assert (await numbers(history))[0] == made[: -KEPT - 1 : -1]
    with pytest.raises(RevisionUnknown):
        await history.get(made[-KEPT - 1])
    with pytest.raises(RevisionUnknown):
        await history.state_after(made[-KEPT - 1])


async def test_what_is_no_longer_needed_leaves_the_database(
    store: SqlSettingStore, history: SqlHistory, database: Database
) -> None:
    await save(store, {"lidarr.root_folder": "/music"})
    await urls(store, KEPT + 20)

    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(setting_revision)) == KEPT + 1


async def test_a_revision_that_never_was_is_unknown(store: SqlSettingStore, history: SqlHistory) -> None:
    await urls(store, 1)

    for number in (7, 2**62):
        with pytest.raises(RevisionUnknown):
            await history.state_after(number)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(CHANGES, min_size=1, max_size=12))
async def test_the_state_after_every_revision_that_is_kept_is_exact(
    store: SqlSettingStore, history: SqlHistory, steps: list[dict[str, str | None]]
) -> None:
    then = {await save(store, step): dict((await store.load()).texts) for step in steps}

    for number in (await numbers(history))[0]:
        if number in then:
            assert (await history.state_after(number)).texts == then[number]


@pytest.mark.parametrize("damage", [None, b"damaged"], ids=["never kept", "damaged"])
async def test_a_secret_that_cannot_be_brought_back_is_lost(
    store: SqlSettingStore, history: SqlHistory, database: Database, damage: bytes | None
) -> None:
    number = await save(store, {"lidarr.api_key": "sesame", "lidarr.url": "http://a"})
    async with database.writing() as connection:
        secret = setting_revision.c.path == "lidarr.api_key"
        await connection.execute(update(setting_revision).where(secret).values(sealed=damage))
    past = await history.state_after(number)

    assert (past.texts, list(past.lost)) == ({"lidarr.url": "http://a"}, ["lidarr.api_key"])


async def test_a_secret_of_one_revision_opens_in_no_other(
    store: SqlSettingStore, history: SqlHistory, database: Database
) -> None:
    first, second = [await save(store, {"lidarr.api_key": text}) for text in ("old", "new")]
    sealed = select(setting_revision.c.sealed).where(setting_revision.c.revision == first).scalar_subquery()
    async with database.writing() as connection:
        swapped = update(setting_revision).where(setting_revision.c.revision == second).values(sealed=sealed)
        await connection.execute(swapped)

    assert list((await history.state_after(second)).lost) == ["lidarr.api_key"]
