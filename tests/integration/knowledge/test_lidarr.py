"""What Lidarr's own library knows of an album."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.demo.albums import Album as InventedAlbum
from deploy.demo.lidarr.world import LidarrWorld
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.album import Album, Track
from services.acquisition.knowledge.lidarr import LidarrLibrary
from services.acquisition.lidarr.client import READS, LidarrAddress, LidarrClient
from services.acquisition.lidarr.source import LidarrChoices, LidarrSource
from services.acquisition.metrics import AcquisitionMetrics
from tests.integration.knowledge.conftest import Suite
from tests.support.waiting import eventually


@pytest.fixture
async def lidarr(tmp_path: Path, invented: InventedAlbum) -> AsyncIterator[LidarrWorld]:
    async with LidarrWorld(tmp_path / "music", [invented]) as world:
        yield world


def client(suite: Suite, world: LidarrWorld, *, api_key: str | None = None) -> LidarrClient:
    address = LidarrAddress(url=world.url, api_key=api_key or world.api_key)
    metrics = AcquisitionMetrics(Metrics(), suite.clock)
    return LidarrClient(suite.http, address=lambda: address, clock=suite.clock, metrics=metrics)


@pytest.fixture
def knower(suite: Suite, lidarr: LidarrWorld) -> LidarrLibrary:
    return LidarrLibrary(client(suite, lidarr))


@pytest.fixture
async def has_it(suite: Suite, lidarr: LidarrWorld, wish: Album) -> None:
    """The album is in Lidarr's library."""
    await LidarrSource(client(suite, lidarr), choices=LidarrChoices).prepare(wish)


@pytest.mark.usefixtures("has_it")
async def test_an_album_of_the_library_is_known_as_the_edition_that_is_monitored(
    knower: LidarrLibrary, wish: Album, invented: InventedAlbum
) -> None:
    knowledge = await eventually(lambda: knower.knowledge(wish))  # Lidarr learns the tracks a little later

    assert (knowledge.artist, knowledge.title, knowledge.year) == (invented.artist, invented.title, invented.year)
    (edition,) = knowledge.editions
    assert edition.release_mbid == invented.release_mbid
    assert edition.tracks == tuple(
        Track(disc=1, number=one.number, title=one.title, duration=timedelta(milliseconds=int(one.seconds * 1000)))
        for one in invented.tracks
    )


@pytest.mark.usefixtures("has_it")
async def test_another_edition_than_the_monitored_one_is_not_known(knower: LidarrLibrary, wish: Album) -> None:
    assert await knower.knowledge(replace(wish, release_mbid="another")) is None


async def test_an_album_that_lidarr_does_not_have_is_not_added_to_learn_of_it(
    knower: LidarrLibrary, lidarr: LidarrWorld, wish: Album
) -> None:
    assert await knower.knowledge(wish) is None
    assert await knower.knowledge(replace(wish, release_group_mbid=None)) is None
    assert lidarr.lidarr.counts.albums_added == 0


async def test_a_lidarr_that_is_away_holds_nothing_up(knower: LidarrLibrary, lidarr: LidarrWorld, wish: Album) -> None:
    lidarr.fail("GET", "/api/v1/album", 503, times=READS)

    assert await knower.knowledge(wish) is None


async def test_a_lidarr_that_refuses_the_key_holds_nothing_up(suite: Suite, lidarr: LidarrWorld, wish: Album) -> None:
    assert await LidarrLibrary(client(suite, lidarr, api_key="wrong")).knowledge(wish) is None
