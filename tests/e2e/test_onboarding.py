"""The first start, as a page leads through it: from an empty installation to the first album."""

from typing import Any

import pytest

from deploy.demo.world import World
from tests.support.albums import wanted
from tests.support.suite import Suite
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120), pytest.mark.one_process]


async def test_five_steps_lead_to_an_album(suite: Suite, world: World) -> None:
    before = (await suite.client.get("/api/v1/onboarding")).json()
    begun = await suite.client.post("/api/v1/onboarding:start", json={"album": wanted(world.albums.ten_times)})
    assert (before["state"], begun.json()["state"]) == ("NOT_STARTED", "RUNNING")

    async def ended() -> Any:
        onboarding = (await suite.client.get("/api/v1/onboarding")).json()
        return onboarding if onboarding["state"] in ("COMPLETED", "FAILED") else None

    onboarding = await eventually(ended, within=90)

    assert [step["state"] for step in onboarding["steps"]] == ["DONE"] * 5, onboarding["steps"]
    assert onboarding["progress"] == 100
    assert (await suite.ended(onboarding["acquisition"]))["state"] == "COMPLETED"


async def test_an_album_that_nobody_names_is_refused_with_its_field(suite: Suite) -> None:
    answer = await suite.client.post("/api/v1/onboarding:start", json={"album": {"artist": "Low"}})

    assert answer.status_code == 400
    assert "title" in answer.text
