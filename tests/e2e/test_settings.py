"""Settings of the running suite: obeyed without a restart, and still in force while their service is away."""

import asyncio
import uuid
from functools import partial
from pathlib import Path

import httpx
import pytest

from deploy.demo.lidarr.registration import registered
from deploy.demo.world import World, open_world
from tests.support.albums import wanted
from tests.support.outages import away
from tests.support.suite import SERVICES, Json, Suite, running_suite, suite_environment
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

_URL = "/api/v1/settings"
_OBEYED = 2.0  # seconds within which a change takes effect everywhere
_GOOD = {"artist": "Someone", "title": "Something"}


async def _change(suite: Suite, body: Json) -> Json:
    answer = await suite.client.patch(_URL, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _not_ready(suite: Suite) -> Json | None:
    answer = await suite.client.get("/api/ready")
    return dict(answer.json()) if answer.status_code == 503 else None


async def _deliver(suite: Suite, secret: str) -> int:
    body = {"eventType": "Health", "message": uuid.uuid4().hex}
    return (
        await suite.client.post("/api/webhooks/lidarr", json=body, headers={"X-Webhook-Secret": secret})
    ).status_code


async def test_a_lidarr_that_is_set_while_the_suite_runs_delivers_without_a_restart(tmp_path: Path) -> None:
    async with open_world(tmp_path / "world") as world:
        given = {name: value for name, value in world.environment.items() if not name.startswith("LIDARR_")}
        async with running_suite(suite_environment(tmp_path / "home", given)) as suite:
            pids = [suite.pid(service) for service in SERVICES]
            unset = await suite.request(album=_GOOD, source="LIDARR")
            assert (await suite.ended(unset["name"]))["failure"]["reason"] == "LIDARR_NOT_CONFIGURED"

            names = {"url": "LIDARR_URL", "apiKey": "LIDARR_API_KEY", "webhookSecret": "LIDARR_WEBHOOK_SECRET"}
            await _change(suite, {"lidarr": {name: world.environment[variable] for name, variable in names.items()}})
            await registered(world.environment, suite.url)
            name = (await suite.request(album=wanted(world.albums.by_lidarr), source="LIDARR"))["name"]

            assert (await suite.ended(name))["state"] == "COMPLETED"
            assert [suite.pid(service) for service in SERVICES] == pids


async def test_a_new_webhook_secret_counts_at_once_and_null_brings_back_the_environments(
    suite: Suite, world: World
) -> None:
    before = world.environment["LIDARR_WEBHOOK_SECRET"]

    async def counts(secret: str, instead_of: str) -> bool:
        return (await _deliver(suite, secret), await _deliver(suite, instead_of)) == (202, 401)

    await _change(suite, {"lidarr": {"webhookSecret": "another-secret"}})
    assert await eventually(lambda: counts("another-secret", before), within=_OBEYED)

    reset = await _change(suite, {"lidarr": {"webhookSecret": None}})
    assert await eventually(lambda: counts(before, "another-secret"), within=_OBEYED)
    assert reset["sources"]["lidarr.webhookSecret"] == "ENVIRONMENT"


async def test_a_source_that_is_switched_off_fails_by_name_and_is_used_again_when_it_is_on(
    suite: Suite, world: World
) -> None:
    await _change(suite, {"lidarr": {"enabled": False}})

    async def refused() -> Json | None:
        asked = await suite.request(album=_GOOD | {"title": uuid.uuid4().hex}, source="LIDARR")
        failure = (await suite.ended(asked["name"]))["failure"]
        return failure if failure["reason"] == "LIDARR_NOT_CONFIGURED" else None

    failure = await eventually(refused, within=_OBEYED)
    delivered = await _deliver(suite, world.environment["LIDARR_WEBHOOK_SECRET"])
    await _change(suite, {"lidarr": {"enabled": None}})

    async def asked_again() -> bool:
        return await refused() is None

    assert "lidarr.enabled" in failure["message"]
    assert delivered == 202  # what Lidarr tells is kept: it does not tell twice
    assert await eventually(asked_again, within=_OBEYED)


async def test_null_resets_a_value_to_the_environment_and_else_to_the_default(suite: Suite, world: World) -> None:
    changed = await _change(suite, {"lidarr": {"url": "http://127.0.0.1:1"}, "acquisition": {"concurrency": 2}})

    reset = await _change(suite, {"lidarr": {"url": None}, "acquisition": {"concurrency": None}})

    assert changed["sources"]["lidarr.url"] == changed["sources"]["acquisition.concurrency"] == "DATABASE"
    assert (reset["lidarr"]["url"], reset["sources"]["lidarr.url"]) == (world.environment["LIDARR_URL"], "ENVIRONMENT")
    assert (reset["acquisition"]["concurrency"], reset["sources"]["acquisition.concurrency"]) == (4, "DEFAULT")


async def test_of_simultaneous_changes_with_one_etag_one_wins_and_the_others_are_told_the_current_one(
    suite: Suite,
) -> None:
    etag = (await suite.client.get(_URL)).json()["etag"]
    bodies = [{"etag": etag, "lidarr": {"rootFolder": f"/music/{number}"}} for number in range(8)]

    answers = await asyncio.gather(*(suite.client.patch(_URL, json=body) for body in bodies))

    await _change(suite, {"lidarr": {"rootFolder": None}})
    (won,) = [answer for answer in answers if answer.status_code == 200]
    lost = [answer for answer in answers if answer is not won]
    assert {(answer.status_code, answer.json()["code"]) for answer in lost} == {(409, "ABORTED")}
    assert {answer.json()["metadata"]["etag"] for answer in lost} == {won.json()["etag"]}


async def test_if_match_guards_a_change_as_the_etag_in_the_body_does(suite: Suite) -> None:
    answer = await suite.client.get(_URL)
    same = await suite.client.patch(
        _URL, json={"lidarr": {"rootFolder": "/a"}}, headers={"If-Match": answer.headers["etag"]}
    )
    stale = await suite.client.patch(
        _URL, json={"lidarr": {"rootFolder": None}}, headers={"If-Match": answer.headers["etag"]}
    )
    await _change(suite, {"lidarr": {"rootFolder": None}})

    assert (same.status_code, stale.status_code) == (200, 409)


async def test_what_was_read_can_be_changed_and_sent_back_and_a_rollback_undoes_it(suite: Suite) -> None:
    before = (await suite.client.get(_URL)).json()
    newest = (await suite.client.get(f"{_URL}/revisions?pageSize=1")).json()["revisions"]

    changed = await _change(suite, {**before, "lidarr": {**before["lidarr"], "rootFolder": "/mistaken"}})
    (told,) = (await suite.client.get(f"{_URL}/revisions?setting=lidarr.rootFolder&pageSize=1")).json()["revisions"]
    shown = (await suite.client.get(f"{_URL}/revisions/{told['revision']}")).json()
    last = newest[0]["revision"] if newest else "0"
    undone = await suite.client.post(f"{_URL}:rollback", json={"revision": last})

    assert changed["lidarr"]["rootFolder"] == "/mistaken"
    assert {"path": "lidarr.rootFolder", "value": "/mistaken"}.items() <= next(
        each for each in shown["changes"] if each["path"] == "lidarr.rootFolder"
    ).items()
    assert {**undone.json(), "etag": ""} == {**before, "etag": ""}


@pytest.mark.parametrize(
    ("query", "body", "told"),
    [
        ("", {"lidarr": {"apikey": "x"}}, "lidarr.apikey: is not a field that exists here: did you mean apiKey?"),
        ("?updateMask=lidarr.apikey", {"lidarr": {"apiKey": "x"}}, "did you mean lidarr.api_key?"),
        ("?updateMask=sources", {"sources": {}}, "sources is read-only"),
        ("", {"acquisition": {"concurrency": 11}}, "acquisition.concurrency: must be"),
        ("", {"acquisition": {"concurrency": "many"}}, "acquisition.concurrency: must be an integer"),
    ],
)
async def test_a_wrong_setting_is_named_with_what_would_be_right(
    suite: Suite, query: str, body: Json, told: str
) -> None:
    answer = await suite.client.patch(_URL + query, json=body)

    assert answer.status_code == 400
    assert told in answer.json()["detail"]


async def test_settings_leave_and_come_back_as_a_document(suite: Suite) -> None:
    await _change(suite, {"lidarr": {"rootFolder": "/music"}, "lastfm": {"apiSecret": "kept-under-a-passphrase"}})
    exported = await suite.client.post(f"{_URL}:export", json={"passphrase": "a good long passphrase"})
    reset = await _change(suite, {"lidarr": {"rootFolder": None}, "lastfm": {"apiSecret": None}})

    wish = {"document": exported.json(), "passphrase": "a good long passphrase"}
    damaged = {**wish, "document": {**exported.json(), "values": {"lidarr.rootFolder": "/elsewhere"}}}
    refused = await suite.client.post(f"{_URL}:import", json=damaged)
    put_back = await suite.client.post(f"{_URL}:import", json=wish)
    await _change(suite, {"lidarr": {"rootFolder": None}, "lastfm": {"apiSecret": None}})

    assert (refused.status_code, refused.json()["reason"]) == (400, "DAMAGED_DOCUMENT")
    assert put_back.json()["lidarr"]["rootFolder"] == "/music"
    assert set(put_back.json()["secretsSet"]) - set(reset["secretsSet"]) == {"lastfm.apiSecret"}


async def test_while_the_config_service_is_away_everything_else_goes_on(suite: Suite, world: World) -> None:
    secret = world.environment["LIDARR_WEBHOOK_SECRET"]
    async with away(suite, "config"):
        asked = await suite.client.post("/api/v1/acquisitions", json={"album": {**_GOOD, "title": "Meanwhile"}})
        stranger = await suite.client.get("/api/v1/acquisitions", headers={"X-Api-Key": "lg_nobody-holds-this"})
        events = await suite.client.get("/api/v1/events")
        delivered = await _deliver(suite, secret)
        settings = await suite.client.get(_URL)
        ready = await eventually(partial(_not_ready, suite))

    async def back() -> httpx.Response | None:
        answer = await suite.client.get(_URL)
        return answer if answer.status_code == 200 else None

    assert (await eventually(back)).json()["sources"]["lidarr.url"] == "ENVIRONMENT"
    assert (asked.status_code, stranger.status_code, events.status_code, delivered) == (200, 401, 200, 202)
    assert (settings.status_code, settings.json()["code"]) == (503, "UNAVAILABLE")
    assert int(settings.headers["retry-after"]) >= 1
    assert ready["reasons"] == ["config: UNREACHABLE"]
