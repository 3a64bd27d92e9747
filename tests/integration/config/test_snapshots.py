"""Snapshots reach those who follow them: at once, from other replicas, and after a restart."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from lockgroove.api.v1 import annotations_pb2 as annotations
from lockgroove.config.v1 import config_pb2 as pb

from libs.errors import Unavailable
from libs.live import LiveSettings
from libs.rpc.client import open_channel
from services.config.settings import Settings
from tests.integration.config.conftest import ADMIN_KEY, SERVICE_TOKEN, Config, Serve, Stub, serving, settings_in
from tests.support.ports import free_ports
from tests.support.postgres import run_postgres
from tests.support.waiting import eventually

WITHIN = 10.0  # seconds, for whatever has to happen on a busy machine


@asynccontextmanager
async def following(config: Config) -> AsyncIterator[Callable[[], "asyncio.Future[pb.Snapshot]"]]:
    """The stream of snapshots, as a function that waits for the next one."""
    async with config.client(SERVICE_TOKEN) as client, asyncio.timeout(WITHIN):
        stream = aiter(client.WatchSnapshots(pb.WatchSnapshotsRequest()))
        yield lambda: asyncio.ensure_future(anext(stream))


async def set_url(client: Stub, url: str) -> None:
    await client.UpdateSettings(pb.UpdateSettingsRequest(settings=pb.Settings(lidarr=pb.LidarrSettings(url=url))))


async def accepted(client: Stub, url: str) -> bool:
    """Whether the change is taken; connections from before an outage are found dead one by one."""
    try:
        await set_url(client, url)
    except Unavailable:
        return False
    return True


async def until_url(live: LiveSettings, url: str) -> None:
    async with asyncio.timeout(WITHIN):
        async for snapshot in live.updates():
            if snapshot.settings.lidarr.url == url:
                return


async def test_a_follower_gets_the_snapshot_in_force_first(serve: Serve) -> None:
    async with serve({"LIDARR_API_KEY": "sesame"}) as config, following(config) as next_one:
        snapshot = await next_one()

    assert snapshot.settings.lidarr.api_key == "sesame"


async def test_a_follower_gets_the_digest_of_the_given_admin_key(serve: Serve) -> None:
    async with serve() as config, following(config) as next_one:
        (key,) = (await next_one()).api_keys

    assert (key.digest, list(key.scopes)) == (sha256(ADMIN_KEY.encode()).digest(), [annotations.ADMIN])


async def test_a_follower_gets_every_change_with_a_greater_revision(serve: Serve) -> None:
    async with serve() as config, following(config) as next_one, config.client() as client:
        first = await next_one()
        await set_url(client, "http://changed")
        second = await next_one()

    assert second.settings.lidarr.url == "http://changed"
    assert second.revision > first.revision


async def test_a_change_made_by_another_replica_is_noticed(serve: Serve, settings: Settings) -> None:
    other = replace(settings, listen=f"127.0.0.1:{free_ports(1)[0]}")
    async with (
        serve() as config,
        serving(other) as replica,
        following(config) as next_one,
        replica.client() as client,
    ):
        await next_one()
        await set_url(client, "http://by-the-other")
        changed = await next_one()

    assert changed.settings.lidarr.url == "http://by-the-other"


async def test_live_settings_obey_a_change(serve: Serve) -> None:
    async with serve() as config, living(config.settings) as live, config.client() as client:
        await live.first()
        await set_url(client, "http://changed")

        await until_url(live, "http://changed")


async def test_live_settings_catch_up_with_a_restarted_service(serve: Serve, settings: Settings) -> None:
    async with living(settings) as live:
        async with serve({"LIDARR_URL": "http://before"}):
            await until_url(live, "http://before")

        async with serve({"LIDARR_URL": "http://after"}):
            await until_url(live, "http://after")


async def test_live_settings_keep_the_last_snapshot_while_the_service_is_away(serve: Serve, settings: Settings) -> None:
    async with living(settings) as live:
        async with serve({"LIDARR_URL": "http://before"}):
            await until_url(live, "http://before")

        assert live.current.settings.lidarr.url == "http://before"


async def test_a_watcher_gets_the_settings_at_once_and_after_every_change_without_secrets(serve: Serve) -> None:
    async with serve({"LIDARR_API_KEY": "sesame"}) as config, config.client() as client, asyncio.timeout(WITHIN):
        stream = aiter(client.WatchSettings(pb.WatchSettingsRequest()))
        first = (await anext(stream)).settings
        await set_url(client, "http://changed")
        second = (await anext(stream)).settings

    assert list(first.secrets_set) == ["lidarr.apiKey"]
    assert not first.lidarr.HasField("api_key")
    assert (second.lidarr.url, second.etag != first.etag) == ("http://changed", True)


async def test_what_is_in_force_outlives_an_outage_of_the_database(tmp_path: Path) -> None:
    with run_postgres() as server:
        settings = settings_in(tmp_path, server.url())
        async with serving(settings, {"LIDARR_URL": "http://before"}) as config, config.client() as client:
            server.stop()
            async with living(settings) as newcomer:  # a service that starts in the middle of it
                await until_url(newcomer, "http://before")
                with pytest.raises(Unavailable):
                    await set_url(client, "http://after")
                server.start()
                await eventually(lambda: accepted(client, "http://after"))

                await until_url(newcomer, "http://after")


@asynccontextmanager
async def living(settings: Settings) -> AsyncIterator[LiveSettings]:
    async with open_channel(settings.listen, credential=SERVICE_TOKEN) as channel:
        live = LiveSettings(channel)
        task = asyncio.create_task(live.run())
        try:
            yield live
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
