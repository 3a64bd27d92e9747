"""A disaster that the suite heals with Lidarr's help: docs/backup.md tells what to do."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from deploy.demo.albums import album_files, invent_albums
from deploy.demo.lidarr.registration import registered
from deploy.demo.lidarr.world import LidarrWorld
from libs.clock import SystemClock
from tests.support.albums import wanted
from tests.support.commands import lockgroove
from tests.support.suite import ONE_PROCESS, Suite, running_suite, suite_environment
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(120)

[ALBUM] = invent_albums(1)


class LidarrsClock(SystemClock):
    """That of a machine on which time goes by while the suite stands still."""

    gone = timedelta()

    def now(self) -> datetime:
        return super().now() + self.gone


async def facts(suite: Suite) -> set[tuple[str, str]]:
    """What the suite knows of grabs and imports, and how it came to know."""
    listed = (await suite.client.get("/api/v1/events", params={"pageSize": 100})).json()["events"]
    return {(event["type"], event["origin"]) for event in listed if event["type"] in ("Grab", "Download")}


async def test_what_came_after_the_backup_is_found_in_lidarr(tmp_path: Path) -> None:
    album_files(ALBUM)
    clock = LidarrsClock()
    async with LidarrWorld(tmp_path / "music", [ALBUM], clock=clock) as lidarr:
        extra = {"MUSIC_PATH": str(lidarr.root), "LIDARR_URL": lidarr.url, "LIDARR_API_KEY": lidarr.api_key}
        extra["WEBHOOK_RECONCILE_INTERVAL"] = "2s"
        environment = suite_environment(tmp_path / "home", extra)
        async with running_suite(environment, ONE_PROCESS) as suite:
            await registered(environment, suite.url)
            looked = await suite.client.post("/api/v1/events:reconcile", json={})  # the first look says where to begin
            assert looked.status_code == 200, looked.text
            made = await lockgroove("backup", environment=environment)
            assert made.status == 0, made.output
            name = (await suite.request(album=wanted(ALBUM), source="LIDARR"))["name"]
            assert (await suite.ended(name))["state"] == "COMPLETED"
        [path] = (tmp_path / "home" / "backups").glob("*.lgb")
        done = await lockgroove("restore", str(path), "--yes", environment=environment)
        assert done.status == 0, done.output
        clock.gone = timedelta(minutes=1)  # of what was just written, a webhook might still come

        async with running_suite(environment, ONE_PROCESS) as suite:

            async def found() -> bool:
                return await facts(suite) == {("Grab", "BACKFILL"), ("Download", "BACKFILL")}

            assert await eventually(found, within=60)
