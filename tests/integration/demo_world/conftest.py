import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from deploy.demo.albums import Album, invent_albums
from deploy.demo.lidarr.world import LidarrWorld
from deploy.demo.soulseek.plan import PeerPlan
from deploy.demo.soulseek.world import SoulseekWorld
from libs.clock import ManualClock

from .receiver import Receiver, open_receiver

DEADLINE = 60  # seconds


async def until(condition: Callable[[], Any]) -> Any:
    async with asyncio.timeout(DEADLINE):
        while not (value := condition()):
            await asyncio.sleep(0.01)
    return value


class OpenNetwork(Protocol):
    async def __call__(self, *plans: PeerPlan) -> SoulseekWorld: ...


@pytest.fixture(scope="session")
def albums() -> tuple[Album, ...]:
    return invent_albums(4)


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[OpenNetwork]:
    async with AsyncExitStack() as stack:

        async def open_network(*plans: PeerPlan) -> SoulseekWorld:
            return await stack.enter_async_context(SoulseekWorld(tmp_path / "peers", plans))

        yield open_network


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as receiver:
        yield receiver


class LidarrDriver:
    """Drives a pretended Lidarr over HTTP, as a client with the right key."""

    def __init__(self, world: LidarrWorld, client: httpx.AsyncClient) -> None:
        self.world = world
        self.client = client

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.client.get(f"/api/v1{path}", params=query)
        answer.raise_for_status()
        return answer.json()

    async def post(self, path: str, body: Any) -> httpx.Response:
        return await self.client.post(f"/api/v1{path}", json=body)

    async def add(self, album: Album) -> Any:
        return await self.post("/album", self.new_album(album))

    async def search(self, album_id: int) -> Any:
        answer = await self.post("/command", {"name": "AlbumSearch", "albumIds": [album_id]})
        command_id = answer.json()["id"]
        await until(lambda: not self.world.lidarr.commands.rows[command_id].is_pending)
        return await self.get(f"/command/{command_id}")

    async def add_and_search(self, album: Album) -> int:
        album_id: int = (await self.add(album)).json()["id"]
        await self.search(album_id)
        return album_id

    async def register(self, receiver: Receiver, **settings: Any) -> httpx.Response:
        fields = {
            "url": receiver.url,
            "method": 1,
            "headers": [{"key": "X-Webhook-Secret", "value": "hush"}],
        } | settings
        return await self.post("/notification", registration("suite", fields))

    def new_album(self, album: Album) -> dict[str, Any]:
        artist = {
            "foreignArtistId": album.artist_mbid,
            "qualityProfileId": 1,
            "metadataProfileId": 1,
            "rootFolderPath": str(self.world.root),
            "monitored": True,
            "addOptions": {"monitor": "none"},
        }
        return {"foreignAlbumId": album.mbid, "monitored": True, "artist": artist}


def registration(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    switches = ("onGrab", "onReleaseImport", "onUpgrade", "onDownloadFailure", "onImportFailure", "onArtistAdd")
    return {
        "name": name,
        "implementation": "Webhook",
        "configContract": "WebhookSettings",
        "tags": [],
        "fields": [{"name": key, "value": value} for key, value in fields.items()],
    } | dict.fromkeys(switches, True)


class OpenLidarr(Protocol):
    async def __call__(self, **options: Any) -> LidarrDriver: ...


@pytest.fixture
async def open_lidarr(tmp_path: Path, albums: tuple[Album, ...]) -> AsyncIterator[OpenLidarr]:
    async with AsyncExitStack() as stack:

        async def opened(**options: Any) -> LidarrDriver:
            world = await stack.enter_async_context(LidarrWorld(tmp_path / "music", albums, **options))
            client = httpx.AsyncClient(base_url=world.url, headers={"X-Api-Key": world.api_key}, trust_env=False)
            return LidarrDriver(world, await stack.enter_async_context(client))

        yield opened


@pytest.fixture
async def lidarr(open_lidarr: OpenLidarr) -> LidarrDriver:
    return await open_lidarr()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 2, 14, tzinfo=UTC))


@pytest.fixture
def minutes() -> Callable[[float], timedelta]:
    return lambda count: timedelta(minutes=count)
