"""An album that MusicBrainz knows, on its good days and on its bad ones."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from deploy.demo.albums import Album as InventedAlbum
from deploy.demo.http_faults import Fault
from deploy.demo.musicbrainz.catalogue import group_of
from deploy.demo.musicbrainz.world import MusicBrainzWorld
from services.acquisition.domain.acquisition import State
from services.acquisition.domain.album import Album
from services.acquisition.domain.soulseek_plan import INQUIRY_DELAYS, SEARCH_DELAYS
from services.acquisition.domain.step import Job
from services.acquisition.knowledge.musicbrainz import MUSICBRAINZ
from tests.integration.acquisition.conftest import peer
from tests.integration.acquisition.network import Peer
from tests.integration.acquisition.world import World
from tests.integration.knowledge.conftest import TLS, Suite


@pytest.fixture
async def suite() -> AsyncIterator[Suite]:
    async with httpx.AsyncClient(trust_env=False, verify=TLS) as http:
        yield Suite(http)


@pytest.fixture
async def musicbrainz(invented: InventedAlbum) -> AsyncIterator[MusicBrainzWorld]:
    async with MusicBrainzWorld(group_of(invented)) as world:
        yield world


@pytest.fixture
def world(tmp_path: Path, album: Album, suite: Suite, musicbrainz: MusicBrainzWorld) -> World:
    """A service that is asked for the album by its names alone."""
    world = World(folder=tmp_path, album=replace(album, tracks=()))
    world.steps = world.steps_with(knower=suite.musicbrainz(musicbrainz))
    return world


@pytest.fixture
def half(invented: InventedAlbum) -> Peer:
    """A peer that has the first half of the album."""
    whole = peer("aaron", invented)
    return Peer(name="aaron", files=dict(list(whole.files.items())[: len(whole.files) // 2]))


async def test_half_an_album_is_not_taken_for_the_whole(world: World, half: Peer, honest: Peer) -> None:
    world.network.peers = [half]
    waiting, moves = await world.run(world.job())
    assert (waiting.state, waiting.attempts, moves[-1].delay) == (State.WAITING, (), SEARCH_DELAYS[0])

    world.network.peers = [half, honest]
    done, _ = await world.run(Job(acquisition=waiting, plan=moves[-1].plan))

    assert done.state is State.COMPLETED
    assert len(world.published()) == 2


async def test_an_overloaded_musicbrainz_is_waited_for_before_anybody_is_searched(
    world: World, musicbrainz: MusicBrainzWorld, suite: Suite, honest: Peer
) -> None:
    world.network.peers = [honest]
    musicbrainz.faults.always = Fault.UNAVAILABLE
    waiting, moves = await world.run(world.job())
    assert (waiting.state, moves[-1].delay >= INQUIRY_DELAYS[0]) == (State.WAITING, True)
    assert world.network.asked == []

    musicbrainz.faults.always = None
    suite.clock.advance(MUSICBRAINZ.open_for)
    done, _ = await world.run(Job(acquisition=waiting, plan=moves[-1].plan))

    assert done.state is State.COMPLETED


async def test_an_outage_that_does_not_end_costs_the_track_list_and_not_the_album(
    world: World, musicbrainz: MusicBrainzWorld, honest: Peer
) -> None:
    world.network.peers = [honest]
    musicbrainz.faults.always = Fault.PAGE
    job = world.job()
    for _ in INQUIRY_DELAYS:
        waiting, moves = await world.run(job)
        assert waiting.state is State.WAITING
        job = Job(acquisition=waiting, plan=moves[-1].plan)

    done, _ = await world.run(job)

    assert done.state is State.COMPLETED
