"""What Lidarr did while it had us switched off: found in its own records, and told to the acquisition that waits."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from deploy.demo.albums import album_files, invent_albums
from deploy.demo.lidarr.registration import registered
from deploy.demo.lidarr.scenario import Scenario
from deploy.demo.lidarr.world import LidarrWorld
from libs.clock import ManualClock
from tests.support.albums import wanted
from tests.support.suite import ONE_PROCESS, Suite, running_suite, suite_environment
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

[ALBUM] = invent_albums(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lidarr(clock: ManualClock, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LidarrWorld]:
    album_files(ALBUM)  # now, and not while somebody waits for an answer
    lost = {ALBUM.mbid: Scenario(webhooks_lost=True, download_seconds=8)}  # ends after the looks that follow a search
    root = tmp_path_factory.mktemp("lidarr") / "music"
    async with LidarrWorld(root, [ALBUM], scenarios=lost, clock=clock) as lidarr:
        yield lidarr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(lidarr: LidarrWorld, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    environment = {
        "MUSIC_PATH": str(lidarr.root),
        "LIDARR_URL": lidarr.url,
        "LIDARR_API_KEY": lidarr.api_key,
        "LIDARR_POLL_INTERVAL": "600s",  # what completes here, webhooks complete
        "WEBHOOK_RECONCILE_INTERVAL": "2s",
    }
    async with running_suite(suite_environment(tmp_path_factory.mktemp("home"), environment), ONE_PROCESS) as suite:
        await registered(environment, suite.url)
        yield suite


async def facts(suite: Suite) -> list[dict[str, Any]]:
    listed = (await suite.client.get("/api/v1/events", params={"pageSize": 100})).json()["events"]
    return [event for event in listed if event["type"] in ("Grab", "Download")]


def dropped(lidarr: LidarrWorld) -> list[dict[str, Any]]:
    return [body for body in lidarr.lidarr.notifications.dropped if body["eventType"] in ("Grab", "Download")]


async def test_an_acquisition_completes_by_what_lidarr_dropped_while_it_had_us_switched_off(
    suite: Suite, lidarr: LidarrWorld, clock: ManualClock
) -> None:
    [hook] = lidarr.lidarr.notifications.rows.values()
    for minutes in (0, 6):
        clock.advance(timedelta(minutes=minutes))
        hook.back_off.fail(clock.now(), started=lidarr.lidarr.started)
    name = (await suite.request(album=wanted(ALBUM), source="LIDARR"))["name"]

    async def both_dropped() -> bool:
        return [body["eventType"] for body in dropped(lidarr)] == ["Grab", "Download"]

    async def both_found() -> bool:
        found = sorted((event["type"], event["origin"]) for event in await facts(suite))
        return found == [("Download", "BACKFILL"), ("Grab", "BACKFILL")]

    async def healthy() -> bool:
        return not lidarr.lidarr.notifications.failing()

    await eventually(both_dropped, within=60)
    clock.advance(timedelta(minutes=1))
    ended = await suite.ended(name, within=120)

    assert ended["state"] == "COMPLETED", ended
    assert await eventually(healthy, within=60)
    assert await eventually(both_found, within=60)


async def test_a_webhook_of_the_same_fact_that_comes_late_has_no_second_effect(
    suite: Suite, lidarr: LidarrWorld
) -> None:
    for body in dropped(lidarr):
        await lidarr.lidarr.notifications.tell(body)

    async def all_done() -> bool:
        found = await facts(suite)
        return len(found) == 4 and {event["state"] for event in found} == {"DONE"}

    assert await eventually(all_done, within=60)
    acquisitions = (await suite.client.get("/api/v1/acquisitions")).json()["acquisitions"]
    assert [(each["state"], len(each["attempts"])) for each in acquisitions] == [("COMPLETED", 1)]


async def test_there_is_one_registration_and_nobody_can_read_its_secret(suite: Suite, lidarr: LidarrWorld) -> None:
    [hook] = lidarr.lidarr.notifications.rows.values()

    assert hook.resource["name"] == "Lockgroove"
    assert not any(hook.setting("password") in line for line in suite.lines)
