"""What clients see of the running suite: REST, OpenAPI, grpcurl, health, metrics, and clear answers to bad input."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from aioslsk.protocol.messages import SharedFoldersFiles
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from deploy.demo.world import World
from tests.support.commands import run
from tests.support.suite import Suite
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120), pytest.mark.one_process]

_GRPC = {
    "acquisition": "lockgroove.acquisition.v1.AcquisitionService",
    "webhooks": "lockgroove.webhooks.v1.WebhooksService",
    "config": "lockgroove.config.v1.ConfigService",
}
_READ_ALL = {"acquisition": "ListAcquisitions", "webhooks": "ListEvents", "config": "GetSettings"}


@pytest.mark.parametrize("service", _GRPC)
async def test_grpcurl_lists_describes_and_calls_every_service(suite: Suite, service: str) -> None:
    address, full_name = suite.address(service), _GRPC[service]

    listed = await run("grpcurl", "-plaintext", address, "list")
    described = await run("grpcurl", "-plaintext", address, "describe", full_name)
    called = await run(
        "grpcurl", "-plaintext", "-H", f"x-api-key: {suite.key}", address, f"{full_name}/{_READ_ALL[service]}"
    )

    assert full_name in listed.output.splitlines()
    assert f"rpc {_READ_ALL[service]} " in described.output
    assert called.status == 0, called.output
    assert isinstance(json.loads(called.output), dict)


@pytest.mark.parametrize("service", _GRPC)
async def test_a_grpc_port_is_no_way_around_the_keys(suite: Suite, service: str) -> None:
    called = await run("grpcurl", "-plaintext", suite.address(service), f"{_GRPC[service]}/{_READ_ALL[service]}")

    assert called.status != 0
    assert "Unauthenticated" in called.output


async def test_the_description_of_the_api_is_valid_openapi(suite: Suite) -> None:
    answer = await suite.client.get("/api/openapi.json")

    validate(answer.json(), cls=OpenAPIV31SpecValidator)
    assert answer.json()["openapi"].startswith("3.1")
    assert "/api/v1/acquisitions" in answer.json()["paths"]


@pytest.mark.parametrize("path", ["/api/live", "/api/ready", "/api/health", "/api/docs", "/api/webhooks/lidarr/verify"])
async def test_what_needs_no_key_answers_without_one(suite: Suite, path: str) -> None:
    answer = await suite.client.get(path, headers={"X-Api-Key": ""})

    assert answer.status_code == 200


async def test_the_metrics_of_the_whole_suite_are_in_one_place(suite: Suite) -> None:
    text = (await suite.client.get("/api/metrics")).text

    for service in ("acquisition", "webhooks", "config", "gateway"):
        assert f'service="{service}"' in text
    assert "lockgroove_" in text


async def test_health_names_every_service(suite: Suite) -> None:
    async def healthy() -> dict[str, Any] | None:
        health = dict((await suite.client.get("/api/health")).json())
        return health if health["status"] == "healthy" else None  # Soulseek is still being connected

    health = await eventually(healthy)

    assert {"acquisition", "webhooks", "config"} <= health["services"].keys()


async def test_without_a_key_nothing_is_told(suite: Suite) -> None:
    answer = await suite.client.get("/api/v1/acquisitions", headers={"X-Api-Key": ""})

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"]
    assert answer.json()["code"] == "UNAUTHENTICATED"


_GOOD = {"artist": "Someone", "title": "Something"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"album": {**_GOOD, "titel": "x"}}, "album.titel"),
        ({"album": {**_GOOD, "title": 7}}, "album.title"),
        ({"album": {**_GOOD, "year": "soon"}}, "album.year"),
        ({"album": {**_GOOD, "title": "x" * 301}}, "album.title"),
        ({"album": {**_GOOD, "releaseGroupMbid": "no-uuid"}}, "album.releaseGroupMbid"),
        ({"album": {"artist": "Someone"}}, "album.title"),
        ({"album": _GOOD, "source": "NAPSTER"}, "source"),
        ({"album": {**_GOOD, "tracks": [{"number": 1, "title": "a"}, {"title": "b"}]}}, "album.tracks[1].number"),
        ({"albums": _GOOD}, "albums"),
        ({}, "album"),
    ],
)
async def test_a_wrong_field_is_named(suite: Suite, body: dict[str, Any], field: str) -> None:
    answer = await suite.client.post("/api/v1/acquisitions", json=body)

    assert answer.status_code == 400, answer.text
    problem = answer.json()
    assert problem["code"] == "INVALID_ARGUMENT"
    assert field in [violation["field"] for violation in problem["violations"]], problem
    assert problem["requestId"]


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"[]", b"null", b'{"album": NaN}', b'{"album":' * 5000, b'{"a":"\xff"}', b'{"album":{},"album":{}}'],
)
async def test_a_body_that_is_no_proper_json_object_is_refused_in_our_words(suite: Suite, body: bytes) -> None:
    answer = await suite.client.post("/api/v1/acquisitions", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    for internal in ("Traceback", "orjson", "google.protobuf", ".py"):
        assert internal not in answer.text


async def test_a_reused_request_id_with_another_album_is_refused(suite: Suite) -> None:
    parameters = {"requestId": str(uuid.uuid4())}
    await suite.client.post("/api/v1/acquisitions", params=parameters, json={"album": _GOOD, "source": "LIDARR"})

    answer = await suite.client.post(
        "/api/v1/acquisitions", params=parameters, json={"album": {**_GOOD, "title": "Else"}, "source": "LIDARR"}
    )

    assert answer.status_code == 400
    assert answer.json()["violations"][0]["field"] == "requestId"


async def test_an_unknown_path_and_a_wrong_method_say_so(suite: Suite) -> None:
    nowhere = await suite.client.get("/api/v1/nowhere")
    wrong = await suite.client.delete("/api/v1/acquisitions")

    assert nowhere.status_code == 404
    assert wrong.status_code == 405
    assert wrong.headers["allow"]


async def test_a_webhook_with_a_wrong_secret_is_refused(suite: Suite, world: World) -> None:
    wrong = await suite.client.post("/api/webhooks/lidarr", json={}, headers={"X-Webhook-Secret": "guess"})
    right = await suite.client.post(
        "/api/webhooks/lidarr",
        json={"eventType": "Health", "message": str(uuid.uuid4())},
        headers={"X-Webhook-Secret": world.environment["LIDARR_WEBHOOK_SECRET"]},
    )

    assert wrong.status_code == 401
    assert right.status_code == 202
    assert right.json().keys() == {"eventId", "duplicate"}


async def test_a_webhook_of_an_unknown_source_is_not_found_and_a_huge_one_too_large(suite: Suite) -> None:
    unknown = await suite.client.post("/api/webhooks/nobody", json={})
    huge = await suite.client.post("/api/webhooks/lidarr", content=b"x" * (1 << 20) + b"x")

    assert unknown.status_code == 404
    assert huge.status_code == 413


async def test_settings_change_at_once_and_secrets_are_never_told(suite: Suite) -> None:
    answer = await suite.client.patch(
        "/api/v1/settings", json={"lidarr": {"apiKey": "canary-7f3a", "pollInterval": "7s"}}
    )
    read = await suite.client.get("/api/v1/settings")
    await suite.client.patch("/api/v1/settings", json={"lidarr": {"apiKey": None, "pollInterval": None}})

    assert answer.status_code == 200, answer.text
    assert read.json()["lidarr"]["pollInterval"] == "7s"
    assert read.json()["sources"]["lidarr.pollInterval"] == "DATABASE"
    assert read.json()["sources"]["lidarr.url"] == "ENVIRONMENT"
    assert "lidarr.apiKey" in read.json()["secretsSet"]
    assert "canary-7f3a" not in answer.text + read.text + "\n".join(suite.lines)


async def test_a_setting_out_of_range_is_refused_with_its_name(suite: Suite) -> None:
    answer = await suite.client.patch("/api/v1/settings", json={"soulseek": {"listenPort": 70000}})

    assert answer.status_code == 400
    assert [violation["field"] for violation in answer.json()["violations"]] == ["soulseek.listenPort"]


async def test_a_stream_of_server_sent_events_begins_with_what_is_there(suite: Suite) -> None:
    name = (await suite.request(album={**_GOOD, "title": "Streamed"}, source="LIDARR"))["name"]

    async with suite.client.stream(
        "GET", "/api/v1/acquisitions:watch", headers={"Accept": "text/event-stream"}
    ) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data:") and json.loads(line[5:])["acquisition"]["name"] == name:
                break

    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_a_search_finds_what_peers_offer_and_can_be_forgotten(suite: Suite) -> None:
    asked = await suite.client.post("/api/v1/searches", json={"query": "flac"})
    assert asked.status_code == 200, asked.text
    path = f"/api/v1/{asked.json()['name']}"

    async def done() -> Any:
        search = (await suite.client.get(path)).json()
        return search if search["state"] != "RUNNING" else None

    found = await eventually(done)
    assert (found["state"], bool(found["offers"])) == ("DONE", True)
    assert (await suite.client.delete(path)).status_code == 200
    assert (await suite.client.get(path)).status_code == 404


async def test_a_peer_is_blocked_and_unblocked_by_hand(suite: Suite) -> None:
    blocked = await suite.client.post("/api/v1/peers:block", json={"peer": "noisebox", "reason": "sends noise"})
    assert blocked.json()["manual"]
    (listed,) = (await suite.client.get("/api/v1/peers", params={"blocked": "true"})).json()["peers"]
    assert (listed["peer"], listed["reason"]) == ("noisebox", "sends noise")

    await suite.client.post("/api/v1/peers:unblock", json={"peer": "noisebox"})

    assert (await suite.client.get("/api/v1/peers", params={"blocked": "true"})).json()["peers"] == []


async def test_a_shared_folder_is_shared_without_another_login(suite: Suite, world: World, tmp_path: Path) -> None:
    (tmp_path / "01.flac").touch()
    logins = world.soulseek.logins("lockgroove")

    set_ = await suite.client.patch("/api/v1/settings", json={"soulseek": {"sharedFolder": str(tmp_path)}})
    assert set_.status_code == 200, set_.text

    async def told() -> bool:
        said = world.soulseek.server.received(SharedFoldersFiles.Request, "lockgroove")
        return bool(said) and said[-1].shared_file_count == 1

    assert await eventually(told)
    assert world.soulseek.logins("lockgroove") == logins


async def test_an_acquisition_is_found_where_kima_and_soulspot_had_downloads(suite: Suite) -> None:
    album = {"artist": "The Placeholders", "title": "Asked at an Old Address"}
    asked = await suite.client.post("/api/downloads", json={"album": album, "source": "LIDARR"})
    name = asked.json()["name"]
    bare = name.removeprefix("acquisitions/")

    read = await suite.client.get(f"/api/downloads/{bare}")
    listed = await suite.client.get("/api/downloads", params={"filter": f'title = "{album["title"]}"'})
    ended = await suite.client.delete(f"/api/downloads/{bare}")

    assert read.json()["name"] == name
    assert [each["name"] for each in listed.json()["acquisitions"]] == [name]
    assert ended.status_code in (200, 400), ended.text  # it may have failed by itself already
    assert (await suite.client.get("/api/downloads/status")).status_code == 200


async def test_settings_onboarding_and_searches_answer_at_old_addresses(suite: Suite) -> None:
    now = (await suite.client.get("/api/v1/settings")).json()
    searched = await suite.client.post("/api/soulseek/search", json={"query": "placeholders nothing"})
    bare = searched.json()["name"].removeprefix("searches/")

    assert (await suite.client.get("/api/system-settings")).json() == now
    assert (await suite.client.get("/api/onboarding/status")).status_code == 200
    assert (await suite.client.get(f"/api/soulseek/search/{bare}")).json()["name"] == searched.json()["name"]
