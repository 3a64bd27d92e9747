"""What the pages of health make of what the services tell, over HTTP."""

from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.api.v1 import status_pb2 as pb

from services.gateway.settings import Settings
from tests.integration.gateway.conftest import KEY, Suite
from tests.support.waiting import eventually

Component = pb.ServiceStatus.Component
SECRET = "http://lidarr.home.example:8686 does not answer"
SINCE = Timestamp(seconds=1_800_000_000)


def component(name: str, state: Component.State.ValueType, *, critical: bool = False) -> Component:
    return Component(
        component=name,
        state=state,
        reason="LIDARR_UNAVAILABLE" if state == Component.DOWN else "",
        message=SECRET,
        critical=critical,
        since_time=SINCE,
        check_time=SINCE,
    )


@pytest.fixture
async def anonymous(suite: Suite) -> AsyncIterator[httpx.AsyncClient]:
    suite.told["acquisition"].status.components.extend(
        [
            component("database", Component.UP, critical=True),
            component("soulseek", Component.DISABLED),
            component("slskd", Component.UNKNOWN),
            Component(component="breaker:musicbrainz", state=Component.UP, reason="CLOSED"),
        ]
    )
    async with httpx.AsyncClient(base_url=suite.client.base_url) as client:
        yield client


async def health(client: httpx.AsyncClient) -> dict[str, Any]:
    return dict((await client.get("/api/health")).json())


async def test_what_is_disabled_or_unknown_degrades_nothing(anonymous: httpx.AsyncClient) -> None:
    told = await health(anonymous)

    assert told["status"] == "healthy"
    assert [told[name]["status"] for name in ("database", "redis", "soulseek", "lidarr")] == [
        "UP",
        "DISABLED",
        "DISABLED",
        "UNKNOWN",
    ]
    assert told["breakers"] == {"musicbrainz": "CLOSED"}
    assert told["uptime_seconds"] >= 0
    assert told["timestamp"].endswith("Z")


async def test_what_is_optional_and_down_degrades_the_suite_which_stays_ready(
    suite: Suite, anonymous: httpx.AsyncClient
) -> None:
    suite.told["acquisition"].status.components.append(component("lidarr", Component.DOWN))

    answer, ready = await anonymous.get("/api/health"), await anonymous.get("/api/ready")

    since = "2027-01-15T08:00:00.000Z"
    expected: dict[str, Any] = {"status": "DOWN", "since": since, "checkedAt": since, "critical": False}
    expected["reason"] = "LIDARR_UNAVAILABLE"
    told = answer.json()
    assert (told["status"], ready.status_code) == ("degraded", 200)
    assert told["lidarr"] == told["services"]["acquisition"]["components"]["lidarr"] == expected
    assert SECRET not in answer.text


async def test_without_a_database_the_suite_is_not_ready_and_says_why(
    suite: Suite, anonymous: httpx.AsyncClient
) -> None:
    suite.told["config"].status.components.append(component("database", Component.DOWN, critical=True))

    ready, told = await anonymous.get("/api/ready"), await health(anonymous)

    assert (ready.status_code, ready.json()["reasons"]) == (503, ["config: database is DOWN"])
    assert (told["status"], told["database"]["status"]) == ("unhealthy", "DOWN")


async def test_the_addresses_of_the_systems_before_answer_the_same(anonymous: httpx.AsyncClient) -> None:
    pairs = {"/live": "/api/live", "/ready": "/api/ready", "/api/health/live": "/api/live"}
    pairs |= {"/api/health/ready": "/api/ready"}

    for legacy, ours in pairs.items():
        assert (await anonymous.get(legacy)).json() == (await anonymous.get(ours)).json()
    assert (await anonymous.get("/health")).json().keys() == (await anonymous.get("/api/health")).json().keys()


async def test_the_status_of_the_system_is_there_although_a_service_is_not(settings: Settings) -> None:
    suite = Suite(settings, absent="webhooks")
    snapshot = suite.configuration.snapshot
    snapshot.settings.ClearField("gateway")
    snapshot.api_keys.add(title="tests", digest=sha256(KEY.encode()).digest(), scopes=[api.READ])
    told = suite.told["acquisition"].status
    told.components.append(component("lidarr", Component.DOWN))
    told.queues.add(queue="acquisitions", depths={"QUEUED": 3}).oldest_age.seconds = 7
    told.volumes.add(volume="music", free_bytes=5, total_bytes=9, writable=True)
    async with suite.services(), suite.gateway():

        async def answered() -> httpx.Response | None:
            answer = await suite.client.get("/api/system/status")
            return answer if answer.is_success else None  # the keys are not known at once

        answer = await eventually(answered)
        anonymous = await suite.client.get("/api/system/status", headers={"x-api-key": ""})

    status = answer.json()
    services = {each["service"]: each for each in status["services"]}
    assert {name: each["status"] for name, each in services.items()} == {
        "acquisition": "SERVING",
        "webhooks": "UNREACHABLE",
        "config": "SERVING",
        "gateway": "SERVING",
    }
    assert status["status"] == "unhealthy"
    assert services["acquisition"]["components"][0]["message"] == SECRET
    assert status["queues"] == [
        {"queue": "acquisitions", "service": "acquisition", "depths": {"QUEUED": "3"}, "oldestAge": "7s"}
    ]
    assert status["volumes"][0] == {"volume": "music", "freeBytes": "5", "totalBytes": "9", "writable": True}
    assert status["limits"]["requestsUnderWay"] == 1
    assert (status["limits"]["perMinute"], status["limits"]["perHour"], status["limits"]["burst"]) == (60, 1000, 100)
    assert status["killSwitch"]["readable"] is True
    assert anonymous.status_code == 401
