"""Every connection of a running suite, tried over REST, beside a session on Soulseek that must stay."""

from functools import partial
from pathlib import Path

import pytest

from deploy.demo.world import open_world
from tests.support.suite import ONE_PROCESS, Json, Suite, running_suite, suite_environment
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


async def _tested(suite: Suite, connection: str, settings: Json | None = None) -> Json:
    answer = await suite.client.post(f"/api/v1/connections/{connection}:test", json={"settings": settings or {}})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _works(suite: Suite, connection: str) -> bool:
    return bool((await _tested(suite, connection)).get("ok"))


async def _is_connected(suite: Suite) -> bool:
    return "stayed so" in (await _tested(suite, "soulseek"))["checks"][0]["message"]


async def test_connections_are_tried_and_the_session_stays(tmp_path: Path) -> None:
    async with (
        open_world(tmp_path / "world") as world,
        running_suite(suite_environment(tmp_path / "home", world.environment), ONE_PROCESS) as suite,
    ):
        assert await _works(suite, "lidarr")
        assert await _works(suite, "storage")
        await eventually(partial(_is_connected, suite))
        name = world.environment["SOULSEEK_USERNAME"]
        logins = world.soulseek.logins(name)
        is_still_connected = await _is_connected(suite)
        mistyped = await _tested(suite, "soulseek", {"soulseek": {"password": "mistyped"}})
        elsewhere = await suite.client.post(
            "/api/v1/connections/lidarr:test", json={"settings": {"lidarr": {"url": "http://127.0.0.1:1"}}}
        )
        choices = (await suite.client.post("/api/v1/connections/lidarr:lookUp", json={})).json()

    assert is_still_connected
    assert mistyped["diagnosis"] == "UNAUTHORIZED"
    assert world.soulseek.logins(name) == logins
    assert (elsewhere.status_code, elsewhere.json()["reason"]) == (400, "SECRET_NEEDED")
    assert choices["rootFolders"][0]["accessible"] is True
