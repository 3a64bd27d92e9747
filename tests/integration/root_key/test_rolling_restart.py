"""Another root key for services that run: restarted one by one, in any order, nothing is lost or refused."""

import tests.support.grpc_without_fork  # noqa: F401 - before grpc

# isort: split
import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.config.v1 import config_pb2 as config_pb
from lockgroove.config.v1 import config_pb2_grpc as config_rpc
from lockgroove.webhooks.v1 import sources_pb2 as sources_pb
from lockgroove.webhooks.v1 import sources_pb2_grpc as sources_rpc
from lockgroove.webhooks.v1 import upkeep_pb2 as upkeep_pb
from lockgroove.webhooks.v1 import upkeep_pb2_grpc as upkeep_rpc
from lockgroove.webhooks.v1 import webhooks_pb2 as pb
from lockgroove.webhooks.v1 import webhooks_pb2_grpc as rpc

from deploy.cli.root_key import replacing
from libs.crypto import UnusableKey, load_root_keys
from libs.crypto.safe import WrongRootKey
from libs.rpc.client import open_channel
from services.config.app import open_app as open_config
from services.config.settings import Settings as ConfigSettings
from services.webhooks.app import open_app as open_webhooks
from services.webhooks.settings import Settings as WebhooksSettings
from tests.support.new_home import make_schema
from tests.support.ports import free_ports
from tests.support.waiting import eventually

ADMIN_KEY = "lg_rolling-restart"
AFAR = "192.0.2.7"  # so that deliveries need their credential (RFC 5737)
SERVICES: dict[str, Callable[..., Any]] = {"config": open_config, "webhooks": open_webhooks}


class Installation:
    """Config and webhooks of one home, each of which can be restarted."""

    def __init__(self, home: Path, database: str | None) -> None:
        self.home, self.database = home, database
        self.addresses = dict(zip(SERVICES, (f"127.0.0.1:{port}" for port in free_ports(2)), strict=True))
        self.running: dict[str, tuple[asyncio.Event, asyncio.Task[None]]] = {}

    def settings(self, service: str) -> Any:
        listen = self.addresses[service]
        if service == "config":
            return ConfigSettings(home=self.home, database=self.database, listen=listen, admin_key=ADMIN_KEY)
        config = self.addresses["config"]
        return WebhooksSettings(home=self.home, database=self.database, listen=listen, config=config)

    async def restart(self, *services: str) -> None:
        for service in services:
            await self.stop(service)
            begun, stop = asyncio.Event(), asyncio.Event()
            task = asyncio.create_task(self._serve(service, begun, stop))
            await asyncio.wait([task, asyncio.create_task(begun.wait())], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                begun.set()
                await task
            self.running[service] = stop, task

    async def stop(self, *services: str) -> None:
        for service in services:
            if service in self.running:
                stop, task = self.running.pop(service)
                stop.set()
                await task

    async def _serve(self, service: str, begun: asyncio.Event, stop: asyncio.Event) -> None:
        async with SERVICES[service](self.settings(service)) as app:
            begun.set()
            await app.serve(stop)

    async def change_secret(self, secret: str) -> None:
        """A setting of config that webhooks obeys."""
        settings = config_pb.Settings(lidarr=config_pb.LidarrSettings(webhook_secret=secret))
        async with open_channel(self.addresses["config"], credential=ADMIN_KEY) as channel:
            stub = config_rpc.ConfigServiceStub(channel)
            await stub.UpdateSettings(config_pb.UpdateSettingsRequest(settings=settings), wait_for_ready=True)

    async def make_source(self) -> None:
        """A source whose secret webhooks keeps."""
        scheme = sources_pb.Verification(header_token=sources_pb.Verification.HeaderToken(header="x-token"))
        source = sources_pb.Source(verification=scheme, secret="secret-of-ours-0123456789")
        async with open_channel(self.addresses["webhooks"], credential=ADMIN_KEY) as channel:
            request = sources_pb.CreateSourceRequest(source=source, source_id="ours")
            await sources_rpc.SourceServiceStub(channel).CreateSource(request, wait_for_ready=True)

    async def delivered(self, source: str, header: str, secret: str, *, token: str) -> bool:
        """Whether the gateway, which has this token, gets a delivery in."""
        now = Timestamp()
        now.GetCurrentTime()
        headers = [pb.Header(name="content-type", value="application/json"), pb.Header(name=header, value=secret)]
        delivery = pb.Delivery(
            source=source, headers=headers, body=b'{"eventType": "Test"}', receive_time=now, remote_address=AFAR
        )
        async with open_channel(self.addresses["webhooks"], credential=token) as channel:
            request = pb.IngestDeliveriesRequest(deliveries=[delivery])
            answer = await rpc.WebhooksServiceStub(channel).IngestDeliveries(request, wait_for_ready=True)
        return bool(answer.outcomes[0].status.code == 0)

    async def works(self, secret: str, *, token: str) -> None:
        """A change reaches webhooks, which still knows its own secrets, and whose audit trail is proven."""
        await self.change_secret(secret)

        async def obeyed() -> bool:
            return await self.delivered("lidarr", "x-webhook-secret", secret, token=token)

        await eventually(obeyed, within=30)
        assert await self.delivered("ours", "x-token", "secret-of-ours-0123456789", token=token)
        async with open_channel(self.addresses["webhooks"], credential=ADMIN_KEY) as channel:
            stub = upkeep_rpc.UpkeepServiceStub(channel)
            assert (await stub.VerifyAuditTrail(upkeep_pb.VerifyAuditTrailRequest())).fault == ""


@pytest.fixture
async def installation(
    tmp_path: Path, dialect: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Installation]:
    """It runs, and has secrets."""
    database = None if dialect == "sqlite" else str(request.getfixturevalue("postgres_url"))
    for service in SERVICES:
        await make_schema(service, home=tmp_path, configured=database)
    monkeypatch.setenv("LOCKGROOVE_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", database or "")
    installation = Installation(tmp_path, database)
    await installation.restart(*SERVICES)
    await installation.make_source()
    yield installation
    await installation.stop(*SERVICES)


@pytest.mark.parametrize("order", [("config", "webhooks"), ("webhooks", "config")])
async def test_services_restart_in_any_order_with_a_new_root_key(
    installation: Installation, order: tuple[str, str]
) -> None:
    old = load_root_keys(installation.home)
    await asyncio.to_thread(replacing.rotate_root)
    for number, service in enumerate(order):
        await installation.restart(service)
        await installation.works(f"rolling-secret-{number}", token=old.service_token)
    await asyncio.to_thread(replacing.forget_previous)
    new = load_root_keys(installation.home)
    await installation.restart(*order)
    await installation.works("secret-under-the-new-key", token=new.service_token)
    await installation.stop(*order)

    assert (new.previous, new.current != old.current) == ((), True)
    (installation.home / "secret.key").write_bytes(old.current)
    for service in order:
        with pytest.raises(WrongRootKey):
            await installation.restart(service)


async def test_the_previous_root_key_stays_until_every_database_can_do_without(installation: Installation) -> None:
    with pytest.raises(UnusableKey, match="no previous root key is known"):
        await asyncio.to_thread(replacing.forget_previous)
    await asyncio.to_thread(replacing.rotate_root)
    for service in SERVICES:
        with pytest.raises(WrongRootKey, match="needs the previous root key still: restart every service first"):
            await asyncio.to_thread(replacing.forget_previous)
        await installation.restart(service)

    await asyncio.to_thread(replacing.forget_previous)

    assert load_root_keys(installation.home).previous == ()
