"""What a store of API keys promises, on each kind of database."""

import asyncio

import pytest

from services.config.domain.keys import ApiKey, admin_key
from services.config.store import SqlKeyStore, SqlSettingStore


class Crash(BaseException):
    """What nobody catches."""


def ada() -> ApiKey:
    return admin_key("lg_ada", title="admin")


def bob() -> ApiKey:
    return admin_key("lg_bob", title="admin")


async def test_the_first_key_is_held(keys: SqlKeyStore) -> None:
    await keys.keep_first(ada)

    assert await keys.keys() == [ada()]


async def test_there_is_only_one_first_key(keys: SqlKeyStore) -> None:
    await keys.keep_first(ada)
    await keys.keep_first(bob)

    assert await keys.keys() == [ada()]


async def test_of_simultaneous_first_starts_one_makes_a_key(keys: SqlKeyStore) -> None:
    shown: list[str] = []

    def make() -> ApiKey:
        shown.append(f"lg_{len(shown)}")
        return admin_key(shown[-1], title="admin")

    await asyncio.gather(*(keys.keep_first(make) for _ in range(4)))

    assert shown == ["lg_0"]
    assert await keys.keys() == [admin_key("lg_0", title="admin")]


async def test_a_crash_after_the_key_was_shown_leaves_room_for_another(keys: SqlKeyStore) -> None:
    def crash() -> ApiKey:
        raise Crash

    with pytest.raises(Crash):
        await keys.keep_first(crash)
    await keys.keep_first(bob)

    assert await keys.keys() == [bob()]


async def test_a_new_key_is_a_change_of_the_settings(keys: SqlKeyStore, store: SqlSettingStore) -> None:
    before = await store.version()
    await keys.keep_first(ada)

    assert await store.version() == before + 1
