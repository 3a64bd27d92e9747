"""Upkeep through the front door: a pass finds a healthy suite healthy, and the trail of all that happened is intact."""

import uuid
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


async def test_the_numbers_of_upkeep_are_there(suite: Suite) -> None:
    async def shown() -> bool:
        text = (await suite.client.get("/api/metrics")).text
        names = ("reconciliation_last_run_timestamp_seconds", "retention_last_run_timestamp_seconds", "upkeep_leader")
        return all(f"lockgroove_webhook_{name}" in text for name in names)

    await eventually(shown)
