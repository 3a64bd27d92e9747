"""How much may be under way at once."""

import asyncio

import httpx

from tests.integration.rates.conftest import ADMIN, World
from tests.support.waiting import eventually

KEY = {"x-api-key": ADMIN}


async def test_what_is_too_much_at_once_is_refused_at_once_and_webhooks_and_probes_are_not(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.follow(client, requests_per_hour=2000, concurrent_requests=1)
    slow = asyncio.create_task(client.get("/api/v1/acquisitions/slow", headers=KEY))
    await world.acquisitions.held.wait()

    refused = await client.get("/api/v1/acquisitions/one", headers=KEY)

    assert refused.status_code == 503
    assert refused.json()["reason"] == "TOO_MANY_REQUESTS_UNDER_WAY"
    assert refused.headers["retry-after"] == "1"
    assert (await client.post("/api/webhooks/lidarr", content=b"{}")).status_code == 202
    assert (await client.get("/api/live")).status_code == 200
    metrics = (await client.get("/api/metrics")).text
    assert 'lockgroove_gateway_requests_under_way{service="gateway",lane="requests"} 1.0' in metrics
    assert 'lockgroove_gateway_requests_refused_total{service="gateway",lane="requests"} 1.0' in metrics

    world.acquisitions.go_on.set()
    assert (await slow).status_code == 200
    assert (await client.get("/api/v1/acquisitions/one", headers=KEY)).status_code == 200


async def test_pages_that_hang_take_no_place_of_webhooks_and_give_theirs_back_when_they_leave(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.follow(client, requests_per_hour=2000, request_burst=1000, concurrent_requests=200)
    asked = f"GET /api/v1/acquisitions/slow HTTP/1.1\r\nhost: here\r\nx-api-key: {ADMIN}\r\n\r\n".encode()
    pages = [await asyncio.open_connection(client.base_url.host, client.base_url.port) for _ in range(200)]
    for _, writer in pages:
        writer.write(asked)
    await eventually(lambda: under_way(client, 200))

    assert (await client.get("/api/v1/acquisitions/one", headers=KEY)).status_code == 503
    answers = await asyncio.gather(*[client.post("/api/webhooks/lidarr", content=b"{}") for _ in range(50)])
    assert {answer.status_code for answer in answers} == {202}

    for _, writer in pages:
        writer.close()
    await eventually(lambda: under_way(client, 0))


async def under_way(client: httpx.AsyncClient, count: int) -> bool:
    return f'under_way{{service="gateway",lane="requests"}} {count}.0' in (await client.get("/api/metrics")).text


async def test_streams_that_stay_open_take_no_place_of_requests(client: httpx.AsyncClient, world: World) -> None:
    await world.follow(client, requests_per_hour=2000, concurrent_requests=1, concurrent_streams=1)
    watch = client.stream("GET", "/api/v1/acquisitions:watch", headers={**KEY, "accept": "text/event-stream"})

    async with watch as stream:
        assert stream.status_code == 200
        assert (await client.get("/api/v1/acquisitions:watch", headers=KEY)).status_code == 503
        assert (await client.get("/api/v1/acquisitions/one", headers=KEY)).status_code == 200

    async def free() -> bool:
        return 'under_way{service="gateway",lane="streams"} 0.0' in (await client.get("/api/metrics")).text

    await eventually(free)
