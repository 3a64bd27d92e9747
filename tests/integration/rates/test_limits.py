"""What callers meet who call often."""

import httpx
import pytest

from tests.integration.rates.conftest import ADMIN, BEFORE, OTHER, READER, World

ONE = "/api/v1/acquisitions/one"


async def get(client: httpx.AsyncClient, path: str = ONE, *, key: str = READER) -> httpx.Response:
    return await client.get(path, headers={"x-api-key": key} if key else {})


async def statuses(client: httpx.AsyncClient, times: int, path: str = ONE, *, key: str = READER) -> list[int]:
    return [(await get(client, path, key=key)).status_code for _ in range(times)]


async def test_every_answer_tells_what_is_left(client: httpx.AsyncClient) -> None:
    answer = await get(client)

    assert answer.status_code == 200
    told = {name: value for name, value in answer.headers.items() if name.startswith("ratelimit")}
    assert told == {
        "ratelimit-limit": "5",
        "ratelimit-remaining": "4",
        "ratelimit-reset": "60",
        "ratelimit-policy": "5;w=300, 1000;w=3600",
    }


async def test_errors_tell_it_too(client: httpx.AsyncClient) -> None:
    answers = [await get(client, path) for path in ("/api/v1/nothing", "/api/v1/acquisitions?unknown=1")]

    assert [answer.status_code for answer in answers] == [404, 400]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["4", "3"]


async def test_who_comes_too_often_hears_when_to_come_back(client: httpx.AsyncClient, world: World) -> None:
    assert await statuses(client, 5) == [200] * 5

    refused = await get(client)

    assert refused.status_code == 429
    problem = refused.json()
    assert problem["reason"] == "RATE_LIMIT_EXCEEDED"
    assert problem["code"] == "RESOURCE_EXHAUSTED"
    wait = problem["metadata"]["retryAfter"]
    assert problem["metadata"] == {"limitName": "burst_limit", "limit": "5", "current": "5", "retryAfter": wait}
    assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"] == wait
    assert 50 < int(wait) <= 60
    assert refused.headers["ratelimit-remaining"] == "0"
    assert world.acquisitions.asked == 5


async def test_a_key_that_is_being_rotated_is_counted_as_one(client: httpx.AsyncClient) -> None:
    assert await statuses(client, 3, key=BEFORE) == [200] * 3

    assert await statuses(client, 3) == [200, 200, 429]
    status = await client.get("/api/rate-limits/status?userId=rita", headers={"x-api-key": ADMIN})
    assert len(status.json()["subjects"]) == 1


async def test_keys_and_addresses_are_counted_apart(client: httpx.AsyncClient) -> None:
    await statuses(client, 6)

    assert await statuses(client, 1, key=OTHER) == [200]
    assert await statuses(client, 6, key="") == [401] * 5 + [429]
    assert await statuses(client, 1, key=OTHER) == [200]


async def test_administrators_may_do_more(client: httpx.AsyncClient) -> None:
    answer = await get(client, key=ADMIN)

    assert answer.headers["ratelimit-policy"] == "50;w=300, 10000;w=3600"


async def test_wrong_credentials_are_not_looked_at_for_ever_and_nobody_else_is_locked_out(
    client: httpx.AsyncClient, world: World
) -> None:
    assert await statuses(client, 3, key="lg_guessed") == [401] * 3

    refused = await get(client, key="lg_guessed-again")

    assert refused.status_code == 429
    assert refused.json()["reason"] == "FAILED_ATTEMPTS"
    assert 14 * 60 < int(refused.headers["retry-after"]) <= 15 * 60 + 15
    assert await statuses(client, 1) == [200]
    assert await statuses(client, 1, key="") == [401]


async def test_what_limits_refuse_is_counted_by_limit(client: httpx.AsyncClient) -> None:
    await statuses(client, 7)
    await statuses(client, 6, key="lg_guessed")

    text = (await client.get("/api/metrics")).text
    assert 'lockgroove_rate_limited_total{service="gateway",limit="burst_limit"} 2.0' in text
    assert 'lockgroove_rate_limited_total{service="gateway",limit="failed_attempts"} 3.0' in text


async def test_probes_and_what_is_only_read_is_nobodys_request(client: httpx.AsyncClient) -> None:
    await statuses(client, 6, key="")

    answers = [
        await get(client, path, key="") for path in ("/api/live", "/api/health", "/api/docs", "/api/openapi.json")
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert not any("ratelimit-limit" in answer.headers for answer in answers)


async def test_webhooks_are_not_limited(client: httpx.AsyncClient) -> None:
    answers = [await client.post("/api/webhooks/lidarr", content=b"{}") for _ in range(8)]

    assert {answer.status_code for answer in answers} == {202}


async def test_settings_are_followed_live(client: httpx.AsyncClient, world: World) -> None:
    assert (await statuses(client, 6))[-1] == 429

    await world.follow(client, requests_per_minute=60_000, requests_per_hour=50_000, request_burst=1000)

    assert await statuses(client, 3) == [200] * 3


async def test_everybody_may_see_how_he_stands(client: httpx.AsyncClient) -> None:
    await get(client)

    status = (await get(client, "/api/rate-limits/status")).json()

    (own,) = status["subjects"]
    assert (own["userId"], own["key"], own["status"]) == ("rita", "keys/reader", "ACTIVE")
    assert own["limits"] == {"perMinute": 1, "perHour": 1000, "burst": 5, "failedAttempts": 0}
    assert own["currentUsage"]["lastHour"] == 2
    assert not status["shared"]


async def test_only_administrators_see_and_reset_others(client: httpx.AsyncClient) -> None:
    others = [await get(client, f"/api/rate-limits/status?{of}") for of in ("userId=olaf", "key=keys/other")]
    assert [(answer.status_code, answer.json()["reason"]) for answer in others] == [(403, "NOT_YOURS")] * 2

    reset = await client.post("/api/rate-limits/reset", json={"userId": "rita"}, headers={"x-api-key": READER})
    assert (reset.status_code, reset.json()["reason"]) == (403, "SCOPE_MISSING")


@pytest.mark.parametrize("who", [{"userId": "rita"}, {"key": "keys/reader"}])
async def test_a_reset_lets_a_key_through_again(client: httpx.AsyncClient, who: dict[str, str]) -> None:
    admin = {"x-api-key": ADMIN}
    await statuses(client, 6)
    check = await client.post("/api/rate-limits/check", json=who, headers=admin)
    assert check.json() | {"retryAfter": ""} == {
        "allowed": False,
        "reason": "burst_limit",
        "limit": 5,
        "current": 5,
        "retryAfter": "",
    }

    reset = await client.post("/api/rate-limits/reset", json=who, headers=admin)

    assert reset.json() == {"resetCount": 1}
    assert await statuses(client, 1) == [200]


async def test_a_reset_of_an_address_forgets_its_wrong_credentials(client: httpx.AsyncClient) -> None:
    admin = {"x-api-key": ADMIN}
    await statuses(client, 4, key="lg_guessed")
    status = (await client.get("/api/rate-limits/status?address=127.0.0.1", headers=admin)).json()
    assert status["subjects"][0]["currentUsage"]["failedAttempts"] == 3

    await client.post("/api/rate-limits/reset", json={"address": "127.0.0.1"}, headers=admin)

    assert await statuses(client, 1, key="lg_guessed") == [401]


async def test_an_administrator_who_is_limited_can_reset_himself(client: httpx.AsyncClient) -> None:
    assert (await statuses(client, 51, key=ADMIN))[-1] == 429

    reset = await client.post("/api/rate-limits/reset", json={"userId": "environment"}, headers={"x-api-key": ADMIN})

    assert reset.json() == {"resetCount": 1}
    assert await statuses(client, 1, key=ADMIN) == [200]


@pytest.mark.parametrize("body", [{}, {"userId": "rita", "address": "::1"}])
async def test_a_reset_names_one_caller(client: httpx.AsyncClient, body: dict[str, str]) -> None:
    answer = await client.post("/api/rate-limits/reset", json=body, headers={"x-api-key": ADMIN})

    assert answer.status_code == 400
    assert "name one" in answer.json()["detail"]
