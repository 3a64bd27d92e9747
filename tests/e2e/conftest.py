"""The suite in real processes, in a world of its own; both live as long as the tests of one module.

A module that is marked `one_process` has all services in one, which starts in half the time.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.demo.lidarr.registration import registered
from deploy.demo.world import World, open_world
from tests.support.suite import ONE_PROCESS, Suite, running_suite, suite_environment


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    # One level down, so that whatever a peer could smuggle out of the world is found beside it.
    async with open_world(tmp_path_factory.mktemp("around") / "world") as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(
    request: pytest.FixtureRequest, world: World, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Suite]:
    environment = suite_environment(tmp_path_factory.mktemp("home"), world.environment)
    arguments = [ONE_PROCESS] if request.node.get_closest_marker("one_process") else []
    async with running_suite(environment, *arguments) as suite:
        await registered(world.environment, suite.url)
        yield suite


@pytest.fixture
def music(world: World) -> Path:
    return Path(world.environment["MUSIC_PATH"])
