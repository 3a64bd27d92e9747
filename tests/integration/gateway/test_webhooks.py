"""Webhooks over HTTP: bytes stay as they are, arrivals share calls, each is answered for itself."""

import asyncio

import httpx
import pytest

from libs.errors import NotFound, Unauthenticated, Unavailable
from services.gateway.settings import Settings
from tests.integration.gateway.conftest import Suite

URL = "/api/webhooks/lidarr"


async def test_a_delivery_is_answered_after_the_service(suite: Suite, client: httpx.AsyncClient) -> None:
    response = await client.post(URL, content=b"1")

    assert response.status_code == 202
    assert response.json() == {"eventId": "evt-1", "duplicate": False}


async def test_bytes_and_headers_stay_as_they_are(suite: Suite, client: httpx.AsyncClient) -> None:
    body = b' {"a": 1}\r\n'
    headers = {"content-type": "text/plain; x=y", "X-Webhook-Secret": "s"}

    await client.post(URL, content=body, headers=headers)

    ((delivery,),) = suite.inbox.calls
    sent = {header.name: header.value for header in delivery.headers}
    assert (delivery.source, delivery.body, delivery.remote_address) == ("lidarr", body, "127.0.0.1")
    assert (sent["content-type"], sent["x-webhook-secret"]) == ("text/plain; x=y", "s")
    assert delivery.receive_time.seconds > 0


async def test_the_id_of_the_request_stays_with_the_delivery(suite: Suite, client: httpx.AsyncClient) -> None:
    named = await client.post(URL, content=b"1", headers={"x-request-id": "told"})
    unnamed = await client.post(URL, content=b"2")

    kept = [
        [header.value for header in delivery.headers if header.name == "x-request-id"]
        for (delivery,) in suite.inbox.calls
    ]
    assert kept == [[answer.headers["x-request-id"]] for answer in (named, unnamed)]
    assert kept[0] == ["told"]


async def test_a_delivery_needs_no_key_of_ours(suite: Suite) -> None:
    async with httpx.AsyncClient(base_url=f"http://{suite.address}") as client:
        assert (await client.post(URL, content=b"1")).status_code == 202


async def test_each_of_many_arrivals_gets_its_own_answer(suite: Suite, client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post(URL, content=b"%d" % number) for number in range(40)))

    assert [answer.json()["eventId"] for answer in answers] == [f"evt-{number}" for number in range(40)]


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (Unauthenticated("wrong secret", reason="WEBHOOK_SECRET_WRONG"), 401, None),
        (NotFound("no such source", reason="SOURCE_UNKNOWN"), 404, None),
        (Unavailable("full", reason="STORAGE_FULL"), 503, "5"),
    ],
)
async def test_a_refusal_is_for_its_own_delivery(
    suite: Suite, client: httpx.AsyncClient, error: NotFound, status: int, retry_after: str | None
) -> None:
    suite.inbox.refused["refused"] = error

    refused, taken = await asyncio.gather(
        client.post("/api/webhooks/refused", content=b"1"), client.post(URL, content=b"2")
    )

    assert (refused.status_code, refused.json()["reason"]) == (status, error.code_reason)
    assert refused.headers.get("retry-after") == retry_after
    assert taken.status_code == 202


async def test_a_source_that_cannot_be_is_404_without_a_call(suite: Suite, client: httpx.AsyncClient) -> None:
    response = await client.post("/api/webhooks/No%20Such", content=b"1")

    assert (response.status_code, response.json()["reason"]) == (404, "SOURCE_UNKNOWN")
    assert suite.inbox.calls == []


async def test_a_large_delivery_is_taken_and_a_larger_one_refused(suite: Suite, client: httpx.AsyncClient) -> None:
    taken = await client.post(URL, content=b"1" * 1024 * 1024)
    refused = await client.post(URL, content=b"1" * (1024 * 1024 + 1))

    assert (taken.status_code, refused.status_code) == (202, 413)
    assert refused.headers["connection"] == "close"


async def test_without_the_service_a_delivery_is_503_with_retry_after(settings: Settings) -> None:
    lonely = Suite(settings)
    async with lonely.gateway():
        response = await lonely.client.post(URL, content=b"1")

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
