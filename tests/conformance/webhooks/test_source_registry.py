"""The registry of sources: what ingest knows of them, on SQLite and PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, insert, update

from libs.clock import ManualClock
from libs.crypto import Keyring, RootKeys
from libs.crypto.safe import Safe, open_safe
from libs.errors import Unavailable
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.sql.types import now_ms
from services.webhooks.domain.source import UnknownSource
from services.webhooks.sources.keeper import SourceKeeper
from services.webhooks.sources.record import Draft
from services.webhooks.sources.registry import SourceRegistry, SourceUnusable
from services.webhooks.sources.store import Revision, SourceChanged, SqlSourceStore
from services.webhooks.sources.vault import Vault
from services.webhooks.tables import data_key, source_secret

TOKEN = {"header_token": {"header": "x-token"}}
ROOTS = RootKeys(current=b"root key of these tests, 32 bytes")


class CountingStore(SqlSourceStore):
    """Counts looks, and is away when told to."""

    looks = 0
    away = False

    async def revision(self) -> Revision:
        self.looks += 1
        if self.away:
            raise Unavailable("the database is away")
        return await super().revision()


class Bench:
    """A store with two replicas' registries on it, and a keeper beside the first."""

    def __init__(self, database: Database, safe: Safe) -> None:
        self.database = database
        self.ids = iter(range(1_000_000))
        self.vault = Vault(safe, new_id=lambda: f"sec-{next(self.ids):06}")
        self.store = CountingStore(database, PageTokens(b"tokens"), self.vault)
        self.clock = ManualClock(datetime.now(UTC))
        self.secrets = {"lidarr": "", "slskd": ""}
        self.first, self.second = self.registry(), self.registry()
        self.keeper = SourceKeeper(self.store, self.vault, self.first, random=lambda size: b"r" * size)

    def registry(self) -> SourceRegistry:
        """A registry of one more replica."""
        return SourceRegistry(self.store, self.vault, settings_secret=self.secrets.__getitem__, clock=self.clock)


@pytest.fixture
async def bench(database: Database) -> Bench:
    bench = Bench(database, await open_safe(database, data_key, ROOTS))
    await bench.store.add_built_in()
    await bench.first.refresh()
    await bench.second.refresh()
    return bench


async def made(bench: Bench, name: str = "token", secret: str = "first-secret") -> None:
    await bench.keeper.create(Draft(name=name, verification=TOKEN), secret, "")


def secrets_of(registry: SourceRegistry, name: str = "token") -> list[str]:
    return list(registry.get(name).credentials.secrets)


async def test_a_change_here_is_known_at_once_and_elsewhere_after_a_look(bench: Bench) -> None:
    await made(bench)

    assert secrets_of(bench.first) == ["first-secret"]
    with pytest.raises(UnknownSource):
        bench.second.get("token")
    assert await bench.second.refresh()
    assert secrets_of(bench.second) == ["first-secret"]
    assert not await bench.second.refresh()


async def test_every_kind_of_change_is_seen(bench: Bench) -> None:
    await made(bench)
    assert await bench.second.refresh()

    await bench.keeper.rotate("token", "second-secret", overlap=timedelta(hours=1))
    assert await bench.second.refresh()
    before = await bench.keeper.get("token")
    await bench.keeper.change(before, Draft(name="token", verification=TOKEN, disabled=True), etag="")
    assert await bench.second.refresh()
    await bench.keeper.remove("token", etag="")
    assert await bench.second.refresh()
    await made(bench)
    assert await bench.second.refresh()


async def test_a_secret_stops_at_its_end_without_anybody_looking(bench: Bench) -> None:
    await made(bench)
    await bench.keeper.rotate("token", "second-secret", overlap=timedelta(hours=1))
    assert secrets_of(bench.first) == ["second-secret", "first-secret"]

    bench.clock.advance(timedelta(hours=1, minutes=5))

    assert secrets_of(bench.first) == ["second-secret"]


async def test_all_who_ask_together_share_a_look(bench: Bench) -> None:
    before = bench.store.looks

    await asyncio.gather(*(bench.first.refresh() for _ in range(1000)))

    assert bench.store.looks - before <= 2


async def test_a_flood_of_strangers_costs_few_looks(bench: Bench) -> None:
    before, began = bench.store.looks, asyncio.get_running_loop().time()
    for _ in range(5):
        await bench.first.refresh()
    spent = asyncio.get_running_loop().time() - began

    assert bench.store.looks - before == 5
    assert spent >= 4 * 0.025


async def test_while_the_database_is_away_what_is_known_stays(bench: Bench) -> None:
    await made(bench)
    bench.store.away = True

    await bench.first.run_once()

    with pytest.raises(Unavailable):
        await bench.first.refresh()
    assert secrets_of(bench.first) == ["first-secret"]


async def test_before_the_first_look_nothing_is_known_to_be_unknown(bench: Bench) -> None:
    with pytest.raises(SourceUnusable):
        bench.registry().get("nowhere")


async def test_a_secret_of_another_root_key_refuses_nobody_for_good(bench: Bench) -> None:
    await made(bench)
    strange = Keyring.from_secret(b"another root key, also of 32 bytes").seal(b"first-secret", context="whatever")
    async with bench.database.writing() as connection:
        await connection.execute(update(source_secret).values(sealed=strange))
    stranger = bench.registry()
    await stranger.refresh()

    with pytest.raises(SourceUnusable):
        stranger.get("token")
    assert stranger.get("lidarr").source.built_in


async def test_a_scheme_of_a_newer_version_is_unusable_and_not_open(bench: Bench) -> None:
    await bench.store.create(Draft(name="newer", verification={"quantum": {}}), None, "")
    await bench.store.create(Draft(name="empty"), None, "")
    await bench.first.refresh()

    for name in ("newer", "empty"):
        with pytest.raises(SourceUnusable):
            bench.first.get(name)


async def test_a_built_in_source_has_the_secret_of_the_settings_and_one_more(bench: Bench) -> None:
    secret = bench.vault.draft("registered-secret")
    async with bench.database.writing() as connection:
        sealed = await bench.vault.seal(connection, "lidarr", secret)
        row = {"id": secret.id, "sealed": sealed, "fingerprint": secret.fingerprint, "source": "lidarr"}
        await connection.execute(insert(source_secret).values(row | {"created": now_ms()}))
    assert await bench.first.refresh()

    open_one = bench.first.get("lidarr").credentials
    bench.secrets["lidarr"] = "configured"
    closed = bench.first.get("lidarr").credentials

    assert (open_one.required, list(open_one.secrets)) == (False, ["registered-secret"])
    assert (closed.required, list(closed.secrets)) == (True, ["configured", "registered-secret"])


async def test_a_secret_is_kept_sealed_for_its_own_source(bench: Bench) -> None:
    await made(bench, "one")
    await made(bench, "two")
    one, two = [(await bench.store.get(name)).secrets[0] for name in ("one", "two")]

    assert b"first-secret" not in one.sealed
    assert await bench.vault.open("one", one) == "first-secret"
    with pytest.raises(Exception, match="was changed outside"):
        await bench.vault.open("one", two)
    assert "first-secret" not in repr(bench.first.get("one")) + repr(await bench.store.get("one"))


async def test_two_at_once_do_not_overwrite_each_other(bench: Bench) -> None:
    await made(bench)
    before = await bench.keeper.get("token")
    await bench.keeper.change(before, Draft(name="token", verification=TOKEN, display_name="mine"), etag="")

    with pytest.raises(SourceChanged):
        await bench.keeper.change(before, Draft(name="token", verification=TOKEN, display_name="yours"), etag="")


async def test_removing_a_source_removes_its_secrets(bench: Bench) -> None:
    await made(bench)
    await bench.keeper.remove("token", etag="")

    async with bench.database.writing() as connection:
        assert (await connection.execute(delete(source_secret))).rowcount == 0
