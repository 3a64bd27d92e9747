"""Dead letters and replays through the front door, by our paths and by those of SongNodes."""

import asyncio
import uuid
from collections.abc import Sequence

import httpx
import pytest

from deploy.demo.world import World
from tests.support.suite import Json, Suite
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

_ENDED = ("COMPLETED", "CANCELLED", "FAILED")


async def _died(suite: Suite, world: World, count: int = 1) -> list[str]:
    """So many dead letters: deliveries that are not JSON."""
    secret = {"X-Webhook-Secret": world.environment["LIDARR_WEBHOOK_SECRET"]}
    answers = await asyncio.gather(
        *(
            suite.client.post("/api/webhooks/lidarr", content=f"no JSON {uuid.uuid4()}".encode(), headers=secret)
            for _ in range(count)
        )
    )
    new = [answer.json()["eventId"] for answer in answers]
    await eventually(lambda: _are(suite, new, "DEAD"))
    return new


async def _are(suite: Suite, event_ids: Sequence[str], state: str) -> bool:
    events = [await suite.client.get(f"/api/v1/events/{event_id}") for event_id in event_ids]
    return all(event.json()["state"] == state for event in events)


async def _json(answer: httpx.Response) -> Json:
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _ended(suite: Suite, replay: Json) -> Json:
    async def ended() -> Json | None:
        answer = await suite.client.get(f"/api/v1/{replay['name']}")
        if answer.status_code == 503:  # its service was killed, and is on its way back
            return None
        found = await _json(answer)
        return found if found["state"] in _ENDED else None

    return await eventually(ended, within=60)


def _named(event_ids: Sequence[str]) -> list[str]:
    return [f"events/{event_id}" for event_id in event_ids]


@pytest.mark.parametrize(("path", "size"), [("/api/dlq/messages", "limit"), ("/api/v1/deadLetters", "pageSize")])
async def test_dead_letters_are_listed_page_by_page(suite: Suite, world: World, path: str, size: str) -> None:
    new = await _died(suite, world, 3)

    first = await _json(await suite.client.get(path, params={size: "2"}))
    second = await _json(await suite.client.get(path, params={size: "1", "pageToken": first["nextPageToken"]}))

    shown = [message["name"] for message in (*first["messages"], *second["messages"])]
    assert set(shown) == set(_named(new))
    assert {message["reason"] for message in first["messages"]} == {"UNREADABLE"}


async def test_an_offset_passes_over_as_many(suite: Suite, world: World) -> None:
    await _died(suite, world, 2)

    both = await _json(await suite.client.get("/api/dlq/messages", params={"limit": "2"}))
    second = await _json(await suite.client.get("/api/dlq/messages", params={"limit": "1", "offset": "1"}))

    assert second["messages"][0]["name"] == both["messages"][1]["name"]


@pytest.mark.parametrize("path", ["/api/dlq/stats", "/api/v1/deadLetters:summarize"])
async def test_dead_letters_are_counted(suite: Suite, world: World, path: str) -> None:
    before = await _json(await suite.client.get(path))
    await _died(suite, world, 2)

    after = await _json(await suite.client.get(path))

    assert int(after["totalPending"]) == int(before.get("totalPending", 0)) + 2
    assert int(after["byError"]["UNREADABLE"]) >= 2
    assert int(after["bySource"]["lidarr"]) >= 2
    assert after["newestAge"].endswith("s")


@pytest.mark.parametrize("path", ["/api/dlq/errors/grouped", "/api/v1/deadLetterGroups"])
async def test_dead_letters_are_grouped_by_what_went_wrong(suite: Suite, world: World, path: str) -> None:
    new = await _died(suite, world, 6)

    [group] = (await _json(await suite.client.get(path)))["groups"]

    assert (group["source"], group["reason"]) == ("lidarr", "UNREADABLE")
    assert int(group["messageCount"]) >= 6
    assert len(group["sampleMessages"]) == 5
    assert set(group["sampleMessages"]) <= set(_named(new))


async def test_one_dead_letter_is_replayed(suite: Suite, world: World) -> None:
    [event_id] = await _died(suite, world)

    event = await _json(await suite.client.post(f"/api/dlq/replay/{event_id}"))

    assert (event["name"], event["state"]) == (f"events/{event_id}", "RECEIVED")
    await eventually(lambda: _are(suite, [event_id], "DEAD"))  # it is as unreadable as before


@pytest.mark.parametrize("path", ["/api/dlq/replay/batch", "/api/v1/deadLetters:batchReplay"])
async def test_a_selection_is_replayed_each_for_itself(suite: Suite, world: World, path: str) -> None:
    new = await _died(suite, world, 2)
    wanted = {"messageIds": [*new, "evt-none"], "maxRetries": 3}

    result = await _json(await suite.client.post(path, json=wanted))

    assert (result.get("success", False), result["replayedCount"], result["failedCount"]) == (False, 2, 1)
    assert "evt-none" in result["errors"][0]


async def test_the_words_of_songnodes_are_understood(suite: Suite, world: World) -> None:
    new = await _died(suite, world)

    result = await _json(await suite.client.post("/api/dlq/replay/batch", json={"message_ids": new}))

    assert (result["success"], result["replayedCount"]) == (True, 1)


async def test_a_discarded_letter_is_one_no_more(suite: Suite, world: World) -> None:
    [event_id] = await _died(suite, world)
    path = f"/api/dlq/message/{event_id}"

    first = await _json(await suite.client.delete(path, params={"reason": "a test of theirs"}))
    second = await _json(await suite.client.delete(path))

    assert first["state"] == "IGNORED"
    assert second == first


async def test_what_is_no_dead_letter_is_not_discarded(suite: Suite, world: World) -> None:
    secret = {"X-Webhook-Secret": world.environment["LIDARR_WEBHOOK_SECRET"]}
    body = {"eventType": "Test", "key": uuid.uuid4().hex}
    quiet = (await suite.client.post("/api/webhooks/lidarr", json=body, headers=secret)).json()["eventId"]
    await eventually(lambda: _are(suite, [quiet], "IGNORED"))

    refused = await suite.client.post(f"/api/dlq/replay/{quiet}")
    unknown = await suite.client.delete("/api/dlq/message/evt-none")

    assert (refused.status_code, refused.json()["reason"]) == (400, "EVENT_NOT_DEAD")
    assert (unknown.status_code, unknown.json()["reason"]) == (404, "EVENT_NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/dlq/messages"),
        ("GET", "/api/dlq/stats"),
        ("GET", "/api/dlq/errors/grouped"),
        ("POST", "/api/dlq/replay/batch"),
        ("POST", "/api/dlq/replay/evt-1"),
        ("DELETE", "/api/dlq/message/evt-1"),
        ("POST", "/api/v1/replays"),
        ("GET", "/api/v1/replays"),
    ],
)
async def test_nobody_decides_without_a_key(suite: Suite, method: str, path: str) -> None:
    async with httpx.AsyncClient(base_url=suite.url, trust_env=False) as stranger:
        without = await stranger.request(method, path)
        wrong = await stranger.request(method, path, headers={"X-Api-Key": "lg_wrong"})

    assert (without.status_code, without.json()["reason"]) == (401, "CREDENTIAL_MISSING")
    assert (wrong.status_code, wrong.json()["reason"]) == (401, "CREDENTIAL_INVALID")


async def test_a_preview_names_what_would_be_replayed(suite: Suite, world: World) -> None:
    new = await _died(suite, world, 2)
    wanted = {"events": _named(new), "dryRun": True}

    preview = await _json(await suite.client.post("/api/v1/replays", json=wanted))

    assert (preview["state"], int(preview["matchedCount"])) == ("PREVIEW", 2)
    assert preview["sampleEvents"] == _named(new) or preview["sampleEvents"] == _named(new[::-1])
    assert preview.get("name", "") == ""
    assert await _are(suite, new, "DEAD")


async def test_a_replay_is_followed_to_its_end(suite: Suite, world: World) -> None:
    new = await _died(suite, world, 3)
    wanted = {"events": _named(new), "requestId": str(uuid.uuid4())}

    begun = await _json(await suite.client.post("/api/v1/replays", json=wanted))
    again = await _json(await suite.client.post("/api/v1/replays", json=wanted))
    ended = await _ended(suite, begun)

    assert again["name"] == begun["name"]
    assert (ended["state"], int(ended["matchedCount"]), int(ended["replayedCount"])) == ("COMPLETED", 3, 3)
    assert ended["actor"]
    listed = await _json(await suite.client.get("/api/v1/replays"))
    assert ended["name"] in [replay["name"] for replay in listed["replays"]]


async def test_a_replay_is_paused_resumed_and_cancelled(suite: Suite, world: World) -> None:
    new = await _died(suite, world, 60)  # a minute's work, however slow the machine is
    wanted = {"events": _named(new), "eventsPerSecond": 1}
    begun = await _json(await suite.client.post("/api/v1/replays", json=wanted))

    states = []
    for verb in ("pause", "resume", "cancel"):
        steered = await _json(await suite.client.post(f"/api/v1/{begun['name']}:{verb}"))
        states.append(steered["state"])
    late = await suite.client.post(f"/api/v1/{begun['name']}:resume")

    assert states == ["PAUSED", "RUNNING", "CANCELLED"]
    assert (late.status_code, late.json()["reason"]) == (400, "REPLAY_ENDED")


async def test_a_replay_of_nothing_in_particular_is_refused(suite: Suite) -> None:
    for wanted in ({}, {"filter": "colour = red"}):
        answer = await suite.client.post("/api/v1/replays", json=wanted)

        assert answer.status_code == 400, answer.text
        assert answer.json()["violations"][0]["field"] == "filter"


async def test_a_replay_goes_on_after_its_service_was_killed(suite: Suite, world: World) -> None:
    new = await _died(suite, world, 30)
    wanted = {"events": _named(new), "eventsPerSecond": 20}
    begun = await _json(await suite.client.post("/api/v1/replays", json=wanted))

    await suite.kill("webhooks")
    await suite.wait_ready()
    ended = await _ended(suite, begun)

    assert (ended["state"], int(ended["replayedCount"]), int(ended.get("skippedCount", 0))) == ("COMPLETED", 30, 0)


async def test_dead_letters_are_measured(suite: Suite, world: World) -> None:
    await _died(suite, world)

    async def measured() -> bool:
        lines = (await suite.client.get("/api/metrics")).text.splitlines()
        letters = [line for line in lines if line.startswith("lockgroove_webhook_dead_letters{")]
        return any('reason="unreadable"' in line and float(line.rsplit(maxsplit=1)[1]) > 0 for line in letters)

    await eventually(measured, within=60, every=0.5)
