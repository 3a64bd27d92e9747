"""The kill switch and automations through the front door, in real processes."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from deploy.demo.albums import Album, album_files, invent_albums
from deploy.demo.lidarr.registration import registered
from deploy.demo.lidarr.scenario import NO_RELEASE
from deploy.demo.lidarr.world import LidarrWorld
from tests.support.albums import wanted
from tests.support.ports import free_ports
from tests.support.suite import Json, Suite, running_suite, suite_environment
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

SWITCH = "/api/automation/kill-switch"
AUTOMATION = "/api/v1/automations/retry-unavailable"
HELD, MISSED = NOBODY_HAS = invent_albums(2, seed=5, tracks=2)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite with a Lidarr that finds no release, and a Soulseek that is away: there is a network to search."""
    for album in NOBODY_HAS:
        album_files(album)
    scenarios = {album.mbid: NO_RELEASE for album in NOBODY_HAS}
    music = tmp_path_factory.mktemp("lidarr") / "music"
    async with LidarrWorld(music, NOBODY_HAS, scenarios=scenarios) as lidarr:
        environment = {
            "MUSIC_PATH": str(lidarr.root),
            "LIDARR_URL": lidarr.url,
            "LIDARR_API_KEY": lidarr.api_key,
            "LIDARR_WEBHOOK_SECRET": "secret-of-the-webhooks",
            "LIDARR_POLL_INTERVAL": "1s",
            "SOULSEEK_SERVER": f"127.0.0.1:{free_ports(1)[0]}",
            "SOULSEEK_USERNAME": "ann",
            "SOULSEEK_PASSWORD": "password-of-ann-on-soulseek",
        }
        async with running_suite(suite_environment(tmp_path_factory.mktemp("home"), environment)) as suite:
            await registered(environment, suite.url)
            yield suite


async def ask(suite: Suite, album: Album) -> str:
    return str((await suite.request(album=wanted(album), source="LIDARR"))["name"])


async def put(suite: Suite, **body: Any) -> Json:
    answer = await suite.client.post(SWITCH, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def shown(suite: Suite) -> Json:
    return dict((await suite.client.get("/api/health")).json()["killSwitch"])


async def health_shows(suite: Suite, enabled: bool) -> Json:
    async def so() -> Json | None:
        found = await shown(suite)
        return found if found["enabled"] is enabled else None

    return await eventually(so)


async def test_the_kill_switch_holds_and_lets_go_and_says_so_everywhere(suite: Suite) -> None:
    on = await put(suite, enabled=True, reason="a new disk")
    search = await suite.client.post("/api/v1/searches", json={"query": "lorem"})
    held = await ask(suite, HELD)

    assert (on["enabled"], bool(on["actor"]), on["reason"]) == (True, True, "a new disk")
    assert (search.status_code, search.json()["reason"]) == (400, "KILL_SWITCH_ON")
    assert f"{on['actor']} put it on: a new disk" in search.json()["detail"]
    assert await health_shows(suite, True) == {"enabled": True, "since": on["updateTime"], "readable": True}
    assert (await suite.client.get("/api/automation/safety-status")).json()["reason"] == "global_kill_switch"
    assert (await suite.acquisition(held) or {})["state"] == "QUEUED"

    stale = await suite.client.post(SWITCH, json={"enabled": False, "etag": '"0"'})
    assert (stale.status_code, stale.json()["reason"]) == (409, "ETAG_MISMATCH")
    assert stale.json()["metadata"]["etag"] == on["etag"]
    empty = await suite.client.post(SWITCH, json={"reason": "no word of what"})
    assert empty.status_code == 400
    assert (await suite.client.get(SWITCH)).json() == on

    off = await put(suite, enabled=False, etag=on["etag"])
    assert (off["enabled"], off["etag"] != on["etag"]) == (False, True)
    assert not (await health_shows(suite, False))["enabled"]
    assert (await suite.client.post("/api/v1/searches", json={"query": "lorem"})).status_code == 200
    assert (await suite.ended(held))["failure"]["reason"] == "NO_RELEASE_FOUND"


async def test_what_nobody_had_is_retried_once_somebody_turns_that_on(suite: Suite) -> None:
    await put(suite, enabled=False)
    failed = await suite.ended(await ask(suite, MISSED))
    first = (await suite.client.get("/api/v1/automations")).json()["automations"]
    assert [(each["enabled"], each["state"]) for each in first] == [(False, "OFF")]
    planned = (await suite.client.post(f"{AUTOMATION}:preview")).json()["actions"]
    assert failed["name"] in [action["target"] for action in planned]
    assert {action["status"] for action in planned} == {"PLANNED"}

    await suite.client.patch("/api/v1/settings", json={"automation": {"dryRun": False}})
    changed = await suite.client.patch(AUTOMATION, json={"enabled": True, "etag": first[0]["etag"]})
    assert changed.status_code == 200, changed.text

    async def retried() -> Json | None:
        found = await suite.acquisition(failed["name"])
        return found if found and found["etag"] != failed["etag"] else None

    await eventually(retried)
    actions = (await suite.client.get("/api/v1/automationActions")).json()["actions"]
    assert [each["status"] for each in actions if each["target"] == failed["name"]] == ["DONE"]
    assert (await suite.client.get(AUTOMATION)).json()["actor"]
