"""SIGKILL of any service at any moment of a download still ends with exactly one verified album."""

import asyncio
import random
from pathlib import Path

import pytest

from deploy.demo.lidarr.registration import registered
from deploy.demo.world import World, open_world
from tests.support.albums import is_complete, wanted
from tests.support.suite import SERVICES, Suite, running_suite, suite_environment

pytestmark = pytest.mark.timeout(300)

_KILLS = 3  # per service
_SPREAD = 1.5  # seconds between kills at most


async def _kill_at_random(suite: Suite, service: str, chance: random.Random) -> list[int]:
    killed = []
    for _ in range(_KILLS):
        await asyncio.sleep(chance.uniform(0.2, _SPREAD))
        killed.append(await suite.kill(service))
    return killed


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_that_is_killed_again_and_again_loses_nothing(service: str, tmp_path: Path) -> None:
    chance = random.Random(service)
    async with open_world(tmp_path / "world") as world:
        environment = suite_environment(tmp_path / "home", world.environment)
        async with running_suite(environment) as suite:
            await registered(world.environment, suite.url)
            names = await _ask_for_all(suite, world)

            killed = await _kill_at_random(suite, service, chance)
            await suite.wait_ready()
            ended = [await suite.ended(name, within=150) for name in names]

        assert len(set(killed)) == _KILLS
        assert [acquisition["state"] for acquisition in ended] == ["COMPLETED"] * 3, ended
        music = Path(world.environment["MUSIC_PATH"])
        assert is_complete(world.albums.by_soulseek, music)
        assert is_complete(world.albums.ten_times, music)
        assert len(list((music / world.albums.by_lidarr.artist).iterdir())) == 1


async def _ask_for_all(suite: Suite, world: World) -> list[str]:
    albums = world.albums
    wishes = [(albums.by_soulseek, "SOULSEEK"), (albums.ten_times, "SOULSEEK"), (albums.by_lidarr, "LIDARR")]
    return [(await suite.request(album=wanted(album), source=source))["name"] for album, source in wishes]
