"""What MusicBrainz knows of an album, asked for by real processes over its bad moments."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.demo.http_faults import Fault
from deploy.demo.musicbrainz.catalogue import group_of
from deploy.demo.musicbrainz.world import MusicBrainzWorld
from deploy.demo.world import World
from tests.support.albums import wanted
from tests.support.suite import ONE_PROCESS, Suite, running_suite, suite_environment

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def musicbrainz(world: World) -> AsyncIterator[MusicBrainzWorld]:
    async with MusicBrainzWorld(group_of(world.albums.ten_times)) as musicbrainz:
        yield musicbrainz


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(
    world: World, musicbrainz: MusicBrainzWorld, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Suite]:
    providers = {"MUSICBRAINZ_URL": musicbrainz.url, "MUSICBRAINZ_CONTACT": "me@example.org"}
    environment = suite_environment(tmp_path_factory.mktemp("home"), {**world.environment, **providers})
    async with running_suite(environment, ONE_PROCESS) as suite:
        yield suite


async def test_an_overloaded_musicbrainz_is_asked_again_a_second_later_and_the_album_arrives(
    suite: Suite, world: World, musicbrainz: MusicBrainzWorld
) -> None:
    musicbrainz.faults.queue = [Fault.UNAVAILABLE, Fault.HALF]

    ended = await suite.ended((await suite.request(album=wanted(world.albums.ten_times), source="SOULSEEK"))["name"])

    assert ended["state"] == "COMPLETED", ended
    paths = [call.path.rsplit("/", 1)[-1] for call in musicbrainz.calls]
    assert paths == [world.albums.ten_times.mbid] * 3 + ["release"]
    answered, next_asked = musicbrainz.calls[-2:]
    assert next_asked.at - answered.at > 0.5  # the turns are an interval apart, what arrives is as late as the machine
    metrics = (await suite.client.get("/api/metrics")).text
    (failed,) = [line for line in metrics.splitlines() if "outbound_calls_total" in line and 'status="503"' in line]
    assert failed.endswith(" 1.0")
