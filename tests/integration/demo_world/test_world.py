import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.demo.world import demo_albums, open_world

from .conftest import until

VARIABLES = {
    *("MUSIC_PATH", "DOWNLOAD_PATH", "LIDARR_URL", "LIDARR_API_KEY", "LIDARR_WEBHOOK_SECRET"),
    *("LIDARR_POLL_INTERVAL", "SOULSEEK_SERVER", "SOULSEEK_USERNAME", "SOULSEEK_PASSWORD"),
    *("SOULSEEK_LISTEN_HOST", "SOULSEEK_LISTEN_PORT", "SOULSEEK_SEARCH_TIMEOUT", "SOULSEEK_IDLE_TIMEOUT"),
    "SOULSEEK_QUEUE_TIMEOUT",
}


@asynccontextmanager
async def world_process(root: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "deploy.demo.world", str(root))
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=os.environ | {"DEBUG": "1"})
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def environment_of(process: asyncio.subprocess.Process) -> dict[str, str]:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        environment: dict[str, str] = json.loads(await process.stdout.readline())
    return environment


async def test_the_world_has_a_story_for_each_of_its_albums(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        account = (world.environment["SOULSEEK_USERNAME"], world.environment["SOULSEEK_PASSWORD"])
        async with world.soulseek.client(*account, download=tmp_path / "in") as client:
            request = await client.searches.search(world.albums.by_soulseek.title)
            await until(lambda: len(request.results) == 4)

        fast = {result.username for result in request.results if result.avg_speed > 1024 * 1024}
        assert fast == {"attic-tapes", "basement-rips", "cellar-records"}
        assert set(world.environment) == VARIABLES


async def test_nobody_on_soulseek_has_the_album_of_lidarr(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        shared = {path.parent.name for path in (tmp_path / "peers").rglob("*.flac")}

    assert world.albums.by_lidarr.folder_name not in shared


def test_the_albums_are_the_same_every_time() -> None:
    assert demo_albums() == demo_albums()


async def test_a_world_of_its_own_says_where_it_is_when_it_is_ready(tmp_path: Path) -> None:
    async with world_process(tmp_path) as process:
        environment = await environment_of(process)

        async with httpx.AsyncClient(base_url=environment["LIDARR_URL"], trust_env=False) as client:
            assert (await client.get("/ping")).status_code == 200
        assert set(environment) == VARIABLES


async def test_a_world_of_its_own_touches_loopback_only(tmp_path: Path) -> None:
    async with world_process(tmp_path) as process:
        await environment_of(process)

        connections = psutil.Process(process.pid).net_connections("inet")

    assert {connection.laddr.ip for connection in connections} == {"127.0.0.1"}


@pytest.mark.parametrize("ending", ["SIGTERM", "end of input"])
async def test_a_world_of_its_own_ends_when_told(tmp_path: Path, ending: str) -> None:
    async with world_process(tmp_path) as process:
        await environment_of(process)

        if ending == "SIGTERM":
            process.send_signal(signal.SIGTERM)
        else:
            assert process.stdin is not None
            process.stdin.close()

        async with asyncio.timeout(60):
            assert await process.wait() == 0
