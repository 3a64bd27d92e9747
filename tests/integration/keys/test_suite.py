"""Keys in the suite: made over REST, obeyed by a service that only hears of them, and told of when they were used."""

from typing import Any

import httpx

from tests.integration.keys.conftest import World, becomes
from tests.support.waiting import eventually


async def make(admin: httpx.AsyncClient, **key: object) -> dict[str, Any]:
    async def made() -> dict[str, Any] | None:
        answer = await admin.post("/api/v1/keys", json=key)
        return dict(answer.json()) if answer.status_code == 200 else None

    return await eventually(made)


async def test_a_key_is_good_everywhere_until_it_is_taken_back_and_streams_end_with_it(world: World) -> None:
    async with world.client() as admin:
        key = await make(admin, title="phone", user="ann", scopes=["OPERATE"])
        async with world.client(key["secret"]) as ann:

            async def events() -> int:
                return (await ann.get("/api/v1/events")).status_code

            await becomes(events, 200)
            assert (await ann.get("/api/v1/caller")).json()["user"] == "ann"
            async with ann.stream("GET", "/api/v1/events:watch") as stream:
                assert (await admin.post(f"/api/v1/{key['name']}:revoke", json={})).json()["state"] == "REVOKED"
                await becomes(events, 401)
                said = (await stream.aread()).decode()

    assert "CREDENTIAL_INVALID" in said


async def test_the_last_use_shows_even_where_a_service_stops_right_after_it(world: World) -> None:
    async with world.client() as admin:
        key = await make(admin, title="phone", scopes=["READ"])
        async with world.client(key["secret"]) as phone:

            async def events() -> int:
                return (await phone.get("/api/v1/events")).status_code

            await becomes(events, 200)

        world.webhooks.set()

        async def used() -> bool:
            return "lastUseTime" in (await admin.get(f"/api/v1/{key['name']}")).json()

        await becomes(used, True)


async def test_a_page_gives_a_key_an_end_and_takes_it_away(world: World) -> None:
    async with world.client() as admin:
        key = await make(admin, title="phone", scopes=["READ"])
        place = f"/api/v1/{key['name']}"
        ends = (await admin.patch(place, json={"expireTime": "2999-01-01T00:00:00Z"})).json()
        stays = (await admin.patch(place, json={"expireTime": None})).json()

    assert (ends["expireTime"], ends["title"]) == ("2999-01-01T00:00:00Z", "phone")
    assert stays.get("expireTime") is None
