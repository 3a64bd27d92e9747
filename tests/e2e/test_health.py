"""The pages of health of a suite that runs for real, whose Lidarr is away and one of whose services dies."""

from pathlib import Path
from typing import Any

import httpx

from tests.support.ports import free_ports
from tests.support.suite import Suite, running_suite, suite_environment
from tests.support.waiting import eventually


async def test_what_is_optional_degrades_and_what_is_critical_is_told_with_the_time_of_both(tmp_path: Path) -> None:
    (nobody,) = free_ports(1)
    lidarr = {"LIDARR_URL": f"http://127.0.0.1:{nobody}", "LIDARR_API_KEY": "0123456789abcdef0123456789abcdef"}
    async with running_suite(suite_environment(tmp_path, lidarr)) as suite:
        degraded = await _once(suite, "degraded", lidarr="DOWN")
        assert degraded["lidarr"]["reason"] == "LIDARR_UNAVAILABLE"
        assert (degraded["database"]["status"], degraded["soulseek"]["status"]) == ("UP", "DISABLED")
        assert str(nobody) not in str(degraded)
        assert (await suite.client.get("/api/ready")).status_code == 200

        await suite.kill("webhooks")
        await _once(suite, "unhealthy", lidarr="DOWN")
        await suite.wait_ready()
        again = await _once(suite, "degraded", lidarr="DOWN")
        status = (await suite.client.get("/api/system/status")).json()

    assert again["services"]["webhooks"]["since"] > degraded["services"]["webhooks"]["since"]
    assert again["lidarr"]["since"] == degraded["lidarr"]["since"]
    assert {each["queue"] for each in status["queues"]} == {
        "acquisitions",
        "batches",
        "webhook_events",
        "dead_letters",
        "replays",
    }
    assert {each["volume"] for each in status["volumes"]} >= {"downloads", "home"}
    assert all(each["schemaRevision"] for each in status["services"] if each["service"] != "gateway")


async def _once(suite: Suite, status: str, *, lidarr: str) -> dict[str, Any]:
    async def told() -> dict[str, Any] | None:
        try:
            health = dict((await suite.client.get("/api/health")).json())
        except httpx.HTTPError:
            return None
        return health if (health["status"], health["lidarr"]["status"]) == (status, lidarr) else None

    return await eventually(told, within=40)
