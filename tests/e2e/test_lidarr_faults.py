"""A Lidarr that fails in its many ways, behind real processes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from deploy.demo.albums import Album, album_files, invent_albums
from deploy.demo.lidarr.history import HistoryEvent
from deploy.demo.lidarr.registration import registered
from deploy.demo.lidarr.scenario import NO_RELEASE, Outcome, Scenario
from deploy.demo.lidarr.world import LidarrWorld
from tests.support.albums import wanted
from tests.support.suite import ONE_PROCESS, Suite, running_suite, suite_environment
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

_SECRET = "secret-of-the-webhooks"

LOST, DOWN, FAILING, REFUSED, NONE, TWICE = invent_albums(6, seed=3317, tracks=2)

_Json = dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lidarr(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LidarrWorld]:
    albums = (LOST, DOWN, FAILING, REFUSED, NONE, TWICE)
    for album in albums:
        album_files(album)  # now, and not while somebody waits for an answer
    scenarios = {
        LOST.mbid: Scenario(webhooks_lost=True),
        DOWN.mbid: Scenario(download_seconds=2),
        FAILING.mbid: Scenario(outcomes=(Outcome.DOWNLOAD_FAILURE,)),
        REFUSED.mbid: Scenario(outcomes=(Outcome.IMPORT_FAILURE,)),
        NONE.mbid: NO_RELEASE,
        TWICE.mbid: Scenario(outcomes=(Outcome.DOWNLOAD_FAILURE, Outcome.SUCCESS)),
    }
    async with LidarrWorld(tmp_path_factory.mktemp("lidarr") / "music", albums, scenarios=scenarios) as lidarr:
        yield lidarr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(lidarr: LidarrWorld, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    environment = {
        "MUSIC_PATH": str(lidarr.root),
        "LIDARR_URL": lidarr.url,
        "LIDARR_API_KEY": lidarr.api_key,
        "LIDARR_WEBHOOK_SECRET": _SECRET,
        "LIDARR_POLL_INTERVAL": "1s",
    }
    async with running_suite(suite_environment(tmp_path_factory.mktemp("home"), environment), ONE_PROCESS) as suite:
        await registered(environment, suite.url)
        yield suite


async def ask(suite: Suite, album: Album) -> str:
    return str((await suite.request(album=wanted(album), source="LIDARR"))["name"])


async def acquired(suite: Suite, album: Album) -> _Json:
    return await suite.ended(await ask(suite, album), within=60)


def reasons(acquisition: _Json) -> list[str]:
    return [attempt["reason"] for attempt in acquisition["attempts"]]


async def test_an_import_is_confirmed_although_every_webhook_is_lost(suite: Suite, lidarr: LidarrWorld) -> None:
    done = await acquired(suite, LOST)

    assert done["state"] == "COMPLETED", done
    paths = [Path(file["path"]) for file in done["files"]]
    assert len(paths) == len(LOST.tracks)
    assert all(path.is_file() and path.is_relative_to(lidarr.root) for path in paths)


async def test_an_outage_of_lidarr_spends_no_attempt(suite: Suite, lidarr: LidarrWorld) -> None:
    name = await ask(suite, DOWN)

    async def searching() -> bool:
        found = await suite.acquisition(name)
        return bool(found and found["attempts"])

    await eventually(searching, within=30, every=0.02)
    await lidarr.go_down()
    try:
        await asyncio.wait_for(_away_was_noticed(suite), 20)
        assert (await suite.acquisition(name) or {})["state"] in ("SEARCHING", "WAITING")
    finally:
        await lidarr.come_back()

    done = await suite.ended(name, within=60)

    assert done["state"] == "COMPLETED", done
    assert [attempt["state"] for attempt in done["attempts"]] == ["SUCCEEDED"]


async def _away_was_noticed(suite: Suite) -> None:
    async def told() -> bool:
        return any("acquisition.lidarr_unavailable" in line for line in suite.lines)

    await eventually(told)


async def test_downloads_that_fail_again_and_again_end_with_their_reason(suite: Suite) -> None:
    failed = await acquired(suite, FAILING)

    assert failed["state"] == "FAILED", failed
    assert reasons(failed)[0] == "DOWNLOAD_FAILED"
    assert failed["failure"]["reason"] in ("DOWNLOAD_FAILED", "NO_RELEASE_FOUND")
    assert failed["files"] == []


async def test_a_download_that_fails_is_followed_by_another(suite: Suite, lidarr: LidarrWorld) -> None:
    done = await acquired(suite, TWICE)

    assert done["state"] == "COMPLETED", done
    assert len(done["files"]) == len(TWICE.tracks)
    downloads = [row.event for row in lidarr.lidarr.history.rows if TWICE.title in row.title]
    assert [event for event in downloads if event is not HistoryEvent.TRACK_FILE_IMPORTED] == [
        HistoryEvent.GRABBED,
        HistoryEvent.DOWNLOAD_FAILED,
        HistoryEvent.GRABBED,
        HistoryEvent.DOWNLOAD_IMPORTED,
    ]


async def test_an_import_that_lidarr_refuses_is_told(suite: Suite) -> None:
    failed = await acquired(suite, REFUSED)

    assert (failed["state"], failed["failure"]["reason"]) == ("FAILED", "IMPORT_FAILED"), failed
    assert failed["failure"]["message"]


async def test_an_album_that_nobody_offers_to_lidarr_is_told(suite: Suite) -> None:
    failed = await acquired(suite, NONE)

    assert (failed["state"], failed["failure"]["reason"]) == ("FAILED", "NO_RELEASE_FOUND"), failed
