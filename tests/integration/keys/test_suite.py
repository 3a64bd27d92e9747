"""Keys in the suite: made over REST, obeyed by a service that only hears of them, and told of when they were used."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.service import OpenApp
from services.gateway.app import open_app as open_gateway
from services.gateway.settings import Settings as GatewaySettings
from services.webhooks.app import open_app as open_webhooks
from services.webhooks.settings import Settings as WebhooksSettings
from tests.integration.config.conftest import ADMIN_KEY, ROOT_KEY, serving, settings_in
from tests.integration.keys.conftest import becomes
from tests.support.new_home import make_schema
from tests.support.ports import free_ports
from tests.support.waiting import eventually


@dataclass
class World:
    """A running suite, without acquisition."""

    gateway: str
    webhooks: asyncio.Event  # stops them

    def client(self, key: str = ADMIN_KEY) -> httpx.AsyncClient:
        """Whoever holds this key."""
        return httpx.AsyncClient(base_url=self.gateway, headers={"X-Api-Key": key}, trust_env=False, timeout=30)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    webhooks, acquisition, port = free_ports(3)
    settings = settings_in(tmp_path)
    own: dict[str, Any] = {
        "home": tmp_path,
        "secret_key": ROOT_KEY,
        "config": settings.listen,
        "acquisition": f"127.0.0.1:{acquisition}",
    }
    address = f"127.0.0.1:{webhooks}"
    await make_schema("webhooks", home=tmp_path)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(settings))
        inbox = await stack.enter_async_context(running(open_webhooks, WebhooksSettings(listen=address, **own)))
        await stack.enter_async_context(running(open_gateway, GatewaySettings(port=port, webhooks=address, **own)))
        yield World(gateway=f"http://127.0.0.1:{port}", webhooks=inbox)


@asynccontextmanager
async def running(open_app: OpenApp[Any], settings: Any) -> AsyncIterator[asyncio.Event]:
    """Runs a service until the event that this gives, or the exit."""
    stop = asyncio.Event()
    async with open_app(settings) as app, asyncio.TaskGroup() as group:
        group.create_task(app.serve(stop))
        try:
            yield stop
        finally:
            stop.set()


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
