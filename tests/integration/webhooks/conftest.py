"""The webhooks service as a whole: its app, opened in this process, between peers that do what a test says."""

import tests.support.grpc_without_fork  # noqa: F401 - before grpc

# isort: split
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.webhooks.v1 import webhooks_pb2 as pb
from lockgroove.webhooks.v1 import webhooks_pb2_grpc as rpc

from libs.rpc.client import open_channel
from services.webhooks.app import open_app
from services.webhooks.settings import Settings
from tests.support.lidarr_webhooks import Body, encode
from tests.support.new_home import make_schema
from tests.support.ports import free_ports
from tests.support.waiting import eventually
from tests.support.webhook_peers import OPERATOR_KEY, ROOT_KEY, SERVICE_TOKEN, Peers, running_peers

READY_SECONDS = 30


class Webhooks:
    """A running webhooks service between its peers."""

    def __init__(
        self, peers: Peers, internal: rpc.WebhooksServiceStub, people: rpc.WebhooksServiceStub, *, address: str
    ) -> None:
        self.peers = peers
        self.address = address
        self.internal = internal
        self.people = people

    async def ingest(self, *deliveries: pb.Delivery) -> list[pb.DeliveryOutcome]:
        """Deliver as the gateway does."""
        response = await self.internal.IngestDeliveries(pb.IngestDeliveriesRequest(deliveries=deliveries))
        return list(response.outcomes)

    async def deliver(self, body: Body | bytes) -> str:
        """Deliver from this machine; the id of the event."""
        [outcome] = await self.ingest(delivery(body))
        assert outcome.status.code == 0, outcome
        return outcome.event_id

    async def get(self, event_id: str) -> pb.Event:
        """Read an event."""
        return await self.people.GetEvent(pb.GetEventRequest(name=f"events/{event_id}"))

    async def reaches(self, event_id: str, state: pb.Event.State.ValueType) -> pb.Event:
        """The event once it is in this state."""

        async def there() -> pb.Event | None:
            event = await self.get(event_id)
            return event if event.state == state else None

        return await eventually(there)


Serve = Callable[[], Awaitable[Webhooks]]


def delivery(
    body: Body | bytes, *, source: str = "lidarr", secret: str = "", remote_address: str = "127.0.0.1"
) -> pb.Delivery:
    """A delivery as the gateway hands it over, received now."""
    headers = [pb.Header(name="content-type", value="application/json")]
    if secret:
        headers.append(pb.Header(name="x-webhook-secret", value=secret))
    now = Timestamp()
    now.GetCurrentTime()
    return pb.Delivery(
        source=source,
        headers=headers,
        body=body if isinstance(body, bytes) else encode(body),
        receive_time=now,
        remote_address=remote_address,
    )


@asynccontextmanager
async def serving(settings: Settings, peers: Peers) -> AsyncIterator[Webhooks]:
    """Runs the service until the exit."""
    stop = asyncio.Event()
    await make_schema("webhooks", home=settings.home, configured=settings.database)
    async with open_app(settings) as app, asyncio.TaskGroup() as group:
        group.create_task(app.serve(stop))
        try:
            async with (
                open_channel(settings.listen, credential=SERVICE_TOKEN) as internal,
                open_channel(settings.listen, credential=OPERATOR_KEY) as people,
            ):
                stubs = rpc.WebhooksServiceStub(internal), rpc.WebhooksServiceStub(people)
                webhooks = Webhooks(peers, *stubs, address=settings.listen)
                await ready(webhooks.internal)
                yield webhooks
        finally:
            stop.set()


async def ready(stub: rpc.WebhooksServiceStub) -> None:
    """Return once the service takes deliveries in."""

    async def is_ready() -> bool:
        return (await stub.VerifySource(pb.VerifySourceRequest(source="lidarr"), wait_for_ready=True)).ready

    await eventually(is_ready, within=READY_SECONDS, every=0.01)


def settings_in(home: Path, peers: Peers, *, database: str | None = None) -> Settings:
    """The settings of a process with its own home and port."""
    return Settings(
        home=home,
        database=database,
        listen=f"127.0.0.1:{free_ports(1)[0]}",
        config=peers.config_address,
        acquisition=peers.acquisition_address,
        secret_key=ROOT_KEY,
    )


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    """Config and acquisitions on loopback."""
    async with running_peers() as peers:
        yield peers


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest) -> str | None:
    """DATABASE_URL: unset, or that of a fresh PostgreSQL database."""
    return None if request.param == "sqlite" else cast(str, request.getfixturevalue("settled_postgres_url"))


@pytest.fixture
async def webhooks(tmp_path: Path, where: str | None, peers: Peers) -> AsyncIterator[Webhooks]:
    """The service, ready."""
    async with serving(settings_in(tmp_path, peers, database=where), peers) as webhooks:
        yield webhooks
