"""Upkeep through the front door: a pass finds a healthy suite healthy, and the trail of all that happened is intact."""

import asyncio
import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.world import World
from tests.support.lidarr_webhooks import grab
from tests.support.suite import Suite
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180), pytest.mark.one_process]


async def _unmatched(suite: Suite, world: World) -> None:
    """An event that nobody waits for."""
    secret = {"X-Webhook-Secret": world.environment["LIDARR_WEBHOOK_SECRET"]}
    body = grab(downloadId=uuid.uuid4().hex)
    answer = await suite.client.post("/api/webhooks/lidarr", json=body, headers=secret)
    path = f"/api/v1/events/{answer.json()['eventId']}"

    async def is_unmatched() -> bool:
        return bool((await suite.client.get(path)).json()["state"] == "UNMATCHED")

    await eventually(is_unmatched)


async def _reconcile(suite: Suite, **body: Any) -> list[str]:
    answer = await suite.client.post("/api/v1/events:reconcile", json=body)
    assert answer.status_code == 200, answer.text
    return [finding["kind"] for finding in answer.json().get("findings", [])]


async def test_a_pass_asks_everybody_and_finds_nothing_wrong(suite: Suite, world: World) -> None:
    await _unmatched(suite, world)

    async def is_healthy() -> bool:
        return await _reconcile(suite) == []

    await eventually(is_healthy)  # Lidarr may have told us about itself only now
    assert await _reconcile(suite, dryRun=True) == []


async def test_the_trail_is_intact_and_shown(suite: Suite, world: World) -> None:
    await _unmatched(suite, world)

    verdict = (await suite.client.get("/api/v1/auditRecords:verify")).json()
    records = (await suite.client.get("/api/v1/auditRecords", params={"pageSize": 5})).json()["auditRecords"]

    assert verdict["intact"], verdict
    assert len(records) == 5
    assert records[0]["subject"].startswith("events/")


async def test_the_clean_up_counts_removes_and_tells_of_it_in_every_service(suite: Suite) -> None:
    counted = await asyncio.to_thread(_command, suite, "--dry-run")
    kinds = {(each["service"], kind["kind"]) for each in counted["reports"] for kind in each["removals"]}
    assert {("acquisition", "acquisitions"), ("webhooks", "events"), ("config", "sessions")} <= kinds

    async def have_run() -> bool:
        return all(each.get("endTime") for each in await _reports(suite))

    await eventually(have_run)  # as after every first start
    before = {each["service"]: each["endTime"] for each in await _reports(suite)}

    told = (await asyncio.to_thread(_command, suite))["reports"]

    assert {each["service"] for each in told} == {"acquisition", "webhooks", "config"}
    for each in told:
        assert each["endTime"] != before[each["service"]]
        assert not any([each["problem"], *(kind["problem"] for kind in each["removals"])])
        assert each["holder"]
        assert each["nextRunTime"] > each["endTime"]
    assert await _reports(suite) == told


def _command(suite: Suite, *options: str) -> Any:
    environment = {**suite.environment, "LOCKGROOVE_URL": suite.url, "LOCKGROOVE_API_KEY": suite.key}
    command = [str(Path(sys.executable).with_name("lockgroove")), "cleanup", "--json", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def _reports(suite: Suite) -> Any:
    return (await suite.client.get("/api/v1/cleanup")).json()["reports"]


async def test_the_numbers_of_upkeep_are_there(suite: Suite) -> None:
    async def shown() -> bool:
        text = (await suite.client.get("/api/metrics")).text
        names = ("webhook_reconciliation_last_run_timestamp_seconds", "webhook_upkeep_leader", "cleanup_removed_total")
        return all(f"lockgroove_{name}" in text for name in names)

    await eventually(shown)
