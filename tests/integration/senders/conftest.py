"""A Lidarr and a slskd of pretence, with clocks that tests move, and our side of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.albums import Album, album_files, invent_albums
from deploy.demo.lidarr.scenario import Scenario
from deploy.demo.lidarr.world import LidarrWorld
from deploy.demo.slskd.world import SlskdWorld
from libs.clock import ManualClock
from libs.sql.engine import Database
from services.webhooks.peers import Address
from tests.support.inbox_database import database as database
from tests.support.inbox_database import inbox_schema as inbox_schema

from .station import Station, open_station

START = datetime(2026, 2, 14, tzinfo=UTC)  # of the senders' clocks: far from ours
ALBUMS = invent_albums(2)


async def until(condition: Callable[[], Any]) -> Any:
    async with asyncio.timeout(30):
        while not (value := condition()):
            await asyncio.sleep(0.01)
    return value


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def album() -> Album:
    album_files(ALBUMS[0])
    return ALBUMS[0]


@pytest.fixture
async def lidarr(tmp_path: Path, clock: ManualClock) -> AsyncIterator[LidarrWorld]:
    scenarios = {album.mbid: Scenario(download_seconds=0.02) for album in ALBUMS}
    async with LidarrWorld(tmp_path / "music", ALBUMS, scenarios=scenarios, clock=clock) as world:
        yield world


@pytest.fixture
async def slskd(clock: ManualClock) -> AsyncIterator[SlskdWorld]:
    async with SlskdWorld(clock=clock) as world:
        yield world


@pytest.fixture
async def station(database: Database, lidarr: LidarrWorld) -> AsyncIterator[Station]:
    async with open_station(database) as station:
        station.lidarr_address = Address(url=lidarr.url, api_key=lidarr.api_key)
        yield station


async def switch_off(lidarr: LidarrWorld, station: Station, clock: ManualClock) -> None:
    """Two failures with minutes between them: from now on this Lidarr drops what it should deliver to us."""
    before, station.answers = station.answers, 503
    for minutes in (0, 6):
        clock.advance(timedelta(minutes=minutes))
        await lidarr.lidarr.notifications.tell({"eventType": "Health", "message": f"at {minutes}"})
    station.answers = before
    assert lidarr.lidarr.notifications.failing()
