"""What a store of API keys promises, on each kind of database."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select

from libs.errors import InvalidArgument
from libs.sql.engine import Database
from libs.sql.migrations import migrate
from libs.sql.paging import PageTokens
from services.config import migrations
from services.config.domain.keys import (
    MOST_KEYS,
    Key,
    KeyChanged,
    KeyNotFound,
    LastAdminKey,
    NewKey,
    Terms,
    TooManyKeys,
    digest_of,
)
from services.config.keys import rows
from services.config.keys.store import SqlKeyStore
from services.config.tables import api_key, config_state
from services.config.upkeep.removal import KEYS, EndedKeys

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Crash(BaseException):
    """What nobody catches."""


def made(name: str, *, scope: str = "ADMIN", end: datetime | None = None, request: str | None = None) -> Key:
    wish = NewKey(terms=Terms(title=name, scopes=(scope,), expires_at=end), request_id=request)
    return Key.made(wish, f"lg_{name}", key_id=f"key-{name}", creator="admin", now=NOW)


def revoked(key: Key) -> Key:
    return key.revoked(now=NOW)


MakeKeys = Callable[..., SqlKeyStore]


@pytest.fixture
async def make_keys(database: Database) -> MakeKeys:
    """Makes stores on the migrated database, with or without a key in the environment."""
    await migrate(database, package=migrations.__name__, head=migrations.HEAD)
    return lambda given=False: SqlKeyStore(database, tokens=PageTokens(b"k" * 32), given=given)


@pytest.fixture
def keys(make_keys: MakeKeys) -> SqlKeyStore:
    return make_keys()


async def version(database: Database) -> int:
    async with database.reading() as connection:
        held: int = (await connection.execute(select(config_state.c.version))).scalar_one()
    return held


async def titles(keys: SqlKeyStore) -> list[str]:
    return [key.title for key in await keys.keys()]


async def test_a_key_is_read_as_it_was_kept(keys: SqlKeyStore) -> None:
    key = made("ada", end=NOW + DAY, request="r1")
    await keys.create(key)

    assert await keys.get(key.id) == key


async def test_the_first_key_is_held(keys: SqlKeyStore) -> None:
    await keys.keep_first(lambda: made("ada"), now=NOW)

    assert await keys.keys() == made("ada").admitted()


async def test_there_is_only_one_first_key(keys: SqlKeyStore) -> None:
    await keys.keep_first(lambda: made("ada"), now=NOW)
    await keys.keep_first(lambda: made("bob"), now=NOW)

    assert await titles(keys) == ["ada"]


async def test_of_simultaneous_first_starts_one_makes_a_key(keys: SqlKeyStore) -> None:
    shown: list[str] = []

    def make() -> Key:
        shown.append(f"{len(shown)}")
        return made(shown[-1])

    await asyncio.gather(*(keys.keep_first(make, now=NOW) for _ in range(4)))

    assert shown == ["0"]
    assert await titles(keys) == ["0"]


async def test_a_crash_after_the_key_was_shown_leaves_room_for_another(keys: SqlKeyStore) -> None:
    def crash() -> Key:
        raise Crash

    with pytest.raises(Crash):
        await keys.keep_first(crash, now=NOW)
    await keys.keep_first(lambda: made("bob"), now=NOW)

    assert await titles(keys) == ["bob"]


async def test_a_start_without_any_way_in_makes_a_first_key_again(make_keys: MakeKeys) -> None:
    await make_keys().create(made("ada"))
    await make_keys(given=True).change("key-ada", revoked, etag="", now=NOW)

    await make_keys().keep_first(lambda: made("bob"), now=NOW)

    assert await titles(make_keys()) == ["bob"]


async def test_every_change_of_keys_is_a_change_of_the_configuration(keys: SqlKeyStore, database: Database) -> None:
    await keys.keep_first(lambda: made("ada"), now=NOW)
    await keys.create(made("bob"))
    await keys.change("key-bob", revoked, etag="", now=NOW)

    assert await version(database) == 3


async def test_what_changes_nothing_is_no_change(keys: SqlKeyStore, database: Database) -> None:
    await keys.create(made("ada"))
    await keys.create(made("bob"))
    await keys.change("key-bob", revoked, etag="", now=NOW)
    again = await keys.change("key-bob", revoked, etag="", now=NOW + DAY)

    assert (again.revoked_at, await version(database)) == (NOW, 3)


async def test_a_key_of_the_release_before_acts_under_its_title(keys: SqlKeyStore, database: Database) -> None:
    old = {"id": "key-old", "title": "admin", "digest": digest_of("lg_old"), "scopes": ["ADMIN"], "created_at": NOW}
    async with database.writing() as connection:
        await connection.execute(insert(api_key).values(old))

    renamed = await keys.change(
        "key-old", lambda key: key.changed(replace(key.terms, title="the first"), now=NOW), etag="", now=NOW
    )

    assert (renamed.user, (await keys.get("key-old")).user) == ("admin", "admin")


async def test_twenty_simultaneous_requests_of_one_id_make_one_key(keys: SqlKeyStore) -> None:
    wanted = [replace(made(f"{number}", request="r1"), user="ann") for number in range(20)]
    kept = await asyncio.gather(*(keys.create(key) for key in wanted))

    assert len({key.id for key in kept}) == 1
    assert len(await keys.keys()) == 1


async def test_beyond_the_bound_no_key_is_made_until_one_is_taken_back(keys: SqlKeyStore, database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(insert(api_key), [rows.new_row(made(f"{n}")) for n in range(MOST_KEYS)])
    with pytest.raises(TooManyKeys):
        await keys.create(made("one more"))

    await keys.change("key-7", revoked, etag="", now=NOW)

    assert await keys.create(made("one more"))


async def test_a_stale_etag_changes_nothing_and_tells_the_current_one(keys: SqlKeyStore) -> None:
    await keys.create(made("ada"))
    await keys.create(made("bob"))
    with pytest.raises(KeyChanged) as caught:
        await keys.change("key-bob", revoked, etag='"7"', now=NOW)

    assert caught.value.metadata == {"etag": '"1"'}
    assert (await keys.get("key-bob")).revoked_at is None


async def test_a_key_that_nobody_made_is_not_found(keys: SqlKeyStore) -> None:
    with pytest.raises(KeyNotFound):
        await keys.change("key-none", revoked, etag="", now=NOW)


NARROWED: dict[str, Callable[[Key], Key]] = {
    "revoked": revoked,
    "narrowed": lambda key: key.changed(Terms(title="x", scopes=("OPERATE",)), now=NOW),
    "given an end": lambda key: key.changed(Terms(title="x", scopes=("ADMIN",), expires_at=NOW + DAY), now=NOW),
}


@pytest.mark.parametrize("way", NARROWED)
async def test_the_last_way_in_stays_open(keys: SqlKeyStore, way: str) -> None:
    await keys.create(made("ada"))
    await keys.create(made("ends", end=NOW + DAY))
    await keys.create(made("reads", scope="READ"))

    with pytest.raises(LastAdminKey):
        await keys.change("key-ada", NARROWED[way], etag="", now=NOW)

    assert await keys.get("key-ada") == made("ada")


async def test_with_a_key_in_the_environment_any_key_can_be_taken_back(make_keys: MakeKeys) -> None:
    keys = make_keys(given=True)
    await keys.create(made("ada"))
    await keys.change("key-ada", revoked, etag="", now=NOW)

    assert await keys.keys() == []


async def test_of_two_who_take_each_others_key_back_one_wins(make_keys: MakeKeys) -> None:
    await make_keys().create(made("ada"))
    await make_keys().create(made("bob"))
    ends = await asyncio.gather(
        make_keys().change("key-ada", revoked, etag="", now=NOW),
        make_keys().change("key-bob", revoked, etag="", now=NOW),
        return_exceptions=True,
    )

    assert sorted(type(end).__name__ for end in ends) == ["Key", "LastAdminKey"]
    assert len(await make_keys().keys()) == 1


async def test_the_latest_use_is_kept_whatever_order_it_is_told_in(keys: SqlKeyStore, database: Database) -> None:
    await keys.create(made("ada"))
    for day in (2, 3, 1):
        await keys.note_uses({"key-ada": NOW + day * DAY, "key-of-nobody": NOW})

    assert (await keys.get("key-ada")).last_used_at == NOW + 3 * DAY
    assert await version(database) == 1


async def test_a_change_does_not_forget_a_use(keys: SqlKeyStore) -> None:
    await keys.create(made("ada"))
    before = await keys.get("key-ada")
    await keys.note_uses({"key-ada": NOW})
    await keys.change("key-ada", lambda _: before.rotated("lg_x", overlap=DAY, now=NOW), etag="", now=NOW)

    assert (await keys.get("key-ada")).last_used_at == NOW


async def test_pages_are_oldest_first_and_hold_each_key_once(keys: SqlKeyStore) -> None:
    for number in range(5):
        await keys.create(replace(made(f"{number}"), created_at=NOW - number * DAY))

    seen, token = await keys.page(size=2, token="")
    while token:
        found, token = await keys.page(size=2, token=token)
        seen += found

    assert [key.id for key in seen] == [f"key-{number}" for number in (4, 3, 2, 1, 0)]


async def test_a_page_token_of_another_list_is_refused(keys: SqlKeyStore) -> None:
    with pytest.raises(InvalidArgument):
        await keys.page(size=2, token="AAAA")


async def test_only_what_ended_or_was_taken_back_long_ago_is_forgotten(keys: SqlKeyStore, database: Database) -> None:
    for key in (made("ada"), made("ended", end=NOW + DAY), made("ends", end=NOW + 9 * DAY), made("bob")):
        await keys.create(key)
    await keys.change("key-bob", revoked, etag="", now=NOW)
    later = NOW + 5 * DAY

    assert [await keys.forget(later, limit=1) for _ in range(3)] == [1, 1, 0]
    assert await titles(keys) == ["ada", "ends"]
    assert await version(database) == 7
    async with database.reading() as connection:
        assert (await connection.execute(select(func.count()).select_from(api_key))).scalar_one() == 2


async def test_services_are_told_when_old_keys_were_removed(keys: SqlKeyStore) -> None:
    for number in range(5):
        await keys.create(made(f"{number}", end=NOW + DAY))
    told: list[str] = []
    ended, limit = EndedKeys(keys, changed=lambda: told.append("changed")), NOW + DAY + KEYS
    assert [count async for count in ended.remove(limit)] == []
    assert (await ended.count(limit), told) == (0, [])

    later = limit + timedelta(milliseconds=1)
    assert await ended.count(later) == 5
    assert [count async for count in ended.remove(later)] == [5]

    assert (await keys.keys(), told) == ([], ["changed"])
