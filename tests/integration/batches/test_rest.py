"""Batches as web pages meet them: REST through the gateway, gRPC behind it, and the loops that work on them."""

import tests.support.grpc_without_fork  # noqa: F401 - before grpc

# isort: split
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import config_pb2 as config

from libs import ids
from libs.clock import SystemClock
from libs.crypto import service_token
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.server import Server
from libs.service import Servable, Service
from libs.sql.engine import open_database
from libs.sql.paging import PageTokens
from libs.telemetry import Telemetry
from libs.telemetry.options import TelemetryOptions
from libs.work.metrics import WorkMetrics
from libs.work.store import SqlWorkStore
from services.acquisition import tables
from services.acquisition.batches.wiring import make_batches
from services.acquisition.domain.acquisitions import Acquisitions, Rules
from services.acquisition.domain.album import Album
from services.acquisition.domain.bell import Bell
from services.acquisition.domain.wish import Wish
from services.acquisition.store import SqlAcquisitionStore
from services.gateway.app import open_app
from services.gateway.settings import Settings
from tests.support.ports import free_ports
from tests.support.waiting import eventually

ROOT_KEY = "batch-tests-root-key-0123456789-abcd"
KEY = "lg_batch-tests"
REQUEST = "6f1f7bb0-5c3c-4f5e-9a53-0a8b53c1d0a1"
CLOCK = SystemClock()

Json = dict[str, Any]


class World:
    """Batches behind a gateway, with acquisitions that nobody works on."""

    def __init__(self, client: httpx.AsyncClient, acquisitions: Acquisitions) -> None:
        self.client = client
        self.acquisitions = acquisitions

    async def create(self, *titles: str, **fields: object) -> Json:
        """A batch of these albums."""
        albums = [{"album": {"artist": "The Placeholders", "title": title}} for title in titles]
        answer = await self.client.post("/api/v1/batches", json={"albums": albums, **fields})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def asked(self, batch: Json) -> Json:
        """The batch once its acquisitions are made."""

        async def there() -> Json | None:
            found: Json = (await self.client.get(f"/api/v1/{batch['name']}")).json()
            return found if all("acquisition" in album for album in found["albums"]) else None

        return await eventually(there)


@asynccontextmanager
async def serving(service: Servable) -> AsyncIterator[None]:
    """Runs a service until the exit."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(service.serve(stop))
        try:
            yield
        finally:
            stop.set()


@asynccontextmanager
async def open_batches(folder: Path, listen: str) -> AsyncIterator[Acquisitions]:
    """The slice of batches on a database of its own, without workers of acquisitions."""
    key = config.ApiKey(title="ann", digest=sha256(KEY.encode()).digest(), scopes=[api.ADMIN])
    authenticator = KeyAuthenticator([service_token(ROOT_KEY.encode())], lambda: [key])
    bell, tokens, telemetry = Bell(), PageTokens(b"key"), Telemetry("batches")
    async with open_database(f"sqlite+aiosqlite:///{folder}/test.db", schema="acquisition") as database:
        async with database.writing() as connection:
            await connection.run_sync(tables.metadata.create_all)
        store = SqlAcquisitionStore(database, SqlWorkStore(database, tables.engine), tokens=tokens)
        acquisitions = Acquisitions(
            store, rules=lambda: Rules(music_path="/music"), bell=bell, hurry=calmly, clock=CLOCK, new_id=ids.new
        )
        batches = make_batches(
            database,
            tokens=tokens,
            telemetry=telemetry,
            steps=WorkMetrics(telemetry.metrics, CLOCK),
            clock=CLOCK,
            bell=bell,
            ask=acquisitions.create,
            hurry=calmly,
        )
        server = Server(listen, authenticator=authenticator, telemetry=telemetry)
        batches.serve(server)
        async with serving(Service(server, loops=batches.loops)):
            yield acquisitions


async def calmly() -> None:
    """Nothing runs here that could be hurried."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """The slice, and a gateway whose other services are down."""
    acquisition, webhooks, configuration = (f"127.0.0.1:{port}" for port in free_ports(3))
    settings = Settings(
        home=tmp_path,
        port=0,
        acquisition=acquisition,
        webhooks=webhooks,
        config=configuration,
        telemetry=TelemetryOptions(level="ERROR"),
        secret_key=ROOT_KEY,
    )
    async with (
        open_batches(tmp_path, acquisition) as acquisitions,
        open_app(settings) as app,
        serving(app),
        httpx.AsyncClient(base_url=f"http://{app.server.address}", headers={"x-api-key": KEY}) as client,
    ):
        yield World(client, acquisitions)


async def test_a_batch_is_made_read_listed_and_remembers_who_asked(world: World) -> None:
    made = await world.create("Lorem", "Ipsum", title="Weekly", priority=4)

    asked = await world.asked(made)
    listed = (await world.client.get("/api/v1/batches", params={"filter": 'requester = "ann"'})).json()

    assert (asked["state"], asked["title"], asked["priority"]) == ("DOWNLOADING", "Weekly", 4)
    assert [album["state"] for album in asked["albums"]] == ["ACTIVE", "ACTIVE"]
    assert [(one["name"], one["totalCount"], one["albums"]) for one in listed["batches"]] == [(made["name"], 2, [])]


async def test_an_old_etag_is_a_conflict_that_tells_the_new_one(world: World) -> None:
    made = await world.asked(await world.create("Lorem"))
    path = f"/api/v1/{made['name']}"

    changed = await world.client.patch(path, json={"title": "Mine", "etag": made["etag"]})
    refused = await world.client.patch(path, json={"title": "Theirs", "etag": made["etag"]})

    assert (changed.status_code, changed.json()["title"]) == (200, "Mine")
    assert (refused.status_code, refused.json()["reason"]) == (409, "ETAG_MISMATCH")
    assert (await world.client.get(path)).json()["title"] == "Mine"


async def test_albums_are_added_and_a_cancel_ends_the_batch_that_others_share(world: World) -> None:
    for title in ("Lorem", "Ipsum"):
        await world.acquisitions.create(Wish(album=Album(artist="The Placeholders", title=title)))
    path = f"/api/v1/{(await world.create('Lorem'))['name']}"

    more = {"albums": [{"artist": "The Placeholders", "title": "Ipsum"}]}
    added = await world.client.post(f"{path}:addAlbums", json=more)
    stopped = await world.client.post(f"{path}:cancel", json={})

    assert (added.status_code, len(added.json()["albums"])) == (200, 2)
    assert (stopped.status_code, stopped.json()["state"], stopped.json()["failedCount"]) == (200, "CANCELLED", 2)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "albums"),
        ({"albums": [{"album": {"artist": " ", "title": "Lorem"}}]}, "albums[0].album.artist"),
        ({"albums": [{"album": {"artist": "A", "title": "B"}}], "priority": 11}, "priority"),
    ],
)
async def test_a_wrong_field_is_named(world: World, body: Json, field: str) -> None:
    refused = await world.client.post("/api/v1/batches", json=body)

    assert refused.status_code == 400
    assert field in [violation["field"] for violation in refused.json()["violations"]]
