"""Annotated RPCs over HTTP, through real sockets and real services."""

import asyncio

import httpx
import pytest

from services.gateway.settings import Settings
from tests.integration.gateway.conftest import KEY, Suite

ALBUM = {"artist": "The Placeholders", "title": "Lorem", "releaseGroupMbid": "b1392450-e666-3926-a536-22c65f834433"}


async def test_an_album_is_asked_for(suite: Suite, client: httpx.AsyncClient) -> None:
    request_id = "3f333df6-90a4-4fda-8dd3-9485d27cee36"

    response = await client.post("/api/v1/acquisitions", params={"requestId": request_id}, json={"album": ALBUM})

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["etag"] == '"1"'
    body = response.json()
    assert (body["name"], body["state"], body["attempts"]) == ("acquisitions/acq-1", "QUEUED", [])
    assert body["album"] == {**ALBUM, "year": 0, "releaseMbid": "", "tracks": []}
    assert suite.acquisitions.requests[0].request_id == request_id


async def test_the_path_and_the_query_reach_the_service(suite: Suite, client: httpx.AsyncClient) -> None:
    await client.get("/api/v1/acquisitions?filter=state+%3D+%22FAILED%22&pageSize=7&order_by=name")
    await client.get("/api/v1/acquisitions/acq-1")

    listing, reading = suite.acquisitions.requests
    assert (listing.filter, listing.page_size, listing.order_by) == ('state = "FAILED"', 7, "name")
    assert reading.name == "acquisitions/acq-1"


async def test_a_verb_of_a_resource_is_called(suite: Suite, client: httpx.AsyncClient) -> None:
    response = await client.post("/api/v1/acquisitions/acq-1:cancel", headers={"if-match": '"7"'})

    assert response.json()["state"] == "CANCELLED"
    assert suite.acquisitions.requests[0].etag == '"7"'


async def test_a_patch_changes_what_its_body_names(suite: Suite, client: httpx.AsyncClient) -> None:
    response = await client.patch("/api/v1/settings", json={"lidarr": {"url": "http://x:1", "apiKey": None}})

    assert response.status_code == 200
    assert response.json()["secretsSet"] == ["lidarr.apiKey"]
    assert list(suite.configuration.updates[0].update_mask.paths) == ["lidarr.url", "lidarr.api_key"]


async def test_bytes_and_maps_are_printed(client: httpx.AsyncClient) -> None:
    body = (await client.get("/api/v1/events/evt-1")).json()

    assert (body["headers"], body["body"], body["bodySizeBytes"]) == ({"x-a": "b"}, "AP8=", "2")


async def test_head_is_get_without_a_body(client: httpx.AsyncClient) -> None:
    response = await client.head("/api/v1/acquisitions/acq-1")

    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("headers", [{"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}])
async def test_a_credential_comes_in_either_header(suite: Suite, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=f"http://{suite.address}", headers=headers) as client:
        assert (await client.get("/api/v1/settings")).status_code == 200


async def test_without_a_credential_nobody_is_served(suite: Suite) -> None:
    async with httpx.AsyncClient(base_url=f"http://{suite.address}") as client:
        response = await client.get("/api/v1/settings")

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="lockgroove"'
    assert (response.json()["code"], response.json()["reason"]) == ("UNAUTHENTICATED", "CREDENTIAL_MISSING")


@pytest.mark.parametrize("key", ["wrong", "x" * 5000, "gr\xfcn"])
async def test_a_wrong_credential_is_refused(suite: Suite, key: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://{suite.address}") as client:
        response = await client.get("/api/v1/settings", headers={b"x-api-key": key.encode("latin-1")})

    assert (response.status_code, response.json()["reason"]) == (401, "CREDENTIAL_INVALID")


async def test_a_public_method_needs_no_credential(suite: Suite) -> None:
    async with httpx.AsyncClient(base_url=f"http://{suite.address}") as client:
        response = await client.get("/api/webhooks/lidarr/verify")

    assert response.json() == {"source": "lidarr", "ready": True, "credentialRequired": False}


async def test_an_error_of_a_service_keeps_its_reason(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/v1/acquisitions/missing", headers={"x-correlation-id": "abc-1"})

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "no such acquisition",
        "code": "NOT_FOUND",
        "reason": "ACQUISITION_NOT_FOUND",
        "requestId": "abc-1",
        "metadata": {"name": "acquisitions/missing"},
    }


async def test_a_defect_of_a_service_tells_nothing(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/v1/acquisitions/broken")

    assert response.status_code == 500
    assert "secret" not in response.text


async def test_a_service_that_is_away_is_503_with_retry_after(settings: Settings) -> None:
    lonely = Suite(settings)
    async with lonely.gateway():
        response = await lonely.client.get("/api/v1/acquisitions/acq-1")

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["code"] == "UNAVAILABLE"


async def test_a_client_that_leaves_cancels_its_call(suite: Suite, client: httpx.AsyncClient) -> None:
    calling = asyncio.create_task(client.get("/api/v1/acquisitions/slow"))
    await suite.acquisitions.waiting.wait()

    calling.cancel()

    await asyncio.wait_for(suite.acquisitions.cancelled.wait(), 5)


@pytest.mark.parametrize(
    ("sent", "kept"), [("my-id.1", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("", False)]
)
async def test_a_request_id_is_kept_when_it_is_valid(client: httpx.AsyncClient, sent: str, kept: bool) -> None:
    response = await client.get("/api/live", headers={"x-request-id": sent})

    assert (response.headers["x-request-id"] == sent) is kept
    assert response.headers["x-request-id"]


async def test_every_answer_has_the_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/api/live", "/nowhere", "/api/v1/acquisitions/acq-1"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
