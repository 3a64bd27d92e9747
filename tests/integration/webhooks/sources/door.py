"""One replica of the webhooks service: its sources, and its door for deliveries."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.webhooks.v1 import sources_pb2 as pb
from lockgroove.webhooks.v1 import sources_pb2_grpc as rpc
from lockgroove.webhooks.v1 import webhooks_pb2 as events

from libs.errors import AppError
from libs.rpc.client import open_channel
from libs.rpc.errors import from_status
from tests.integration.webhooks.conftest import Webhooks, serving, settings_in
from tests.support.signers import Headers
from tests.support.webhook_peers import OPERATOR_KEY, Peers

BODY = b'{"id": "evt_9", "type": "ping"}'
WHSEC = "whsec_bG9ja2dyb292ZS10ZXN0LXNlY3JldC1wYWRkaW5n"
SECRET = "lockgroove-test-secret"
GITHUB = pb.Verification(github=pb.Verification.GitHub())
TOKEN = pb.Verification(header_token=pb.Verification.HeaderToken(header="X-Token"))
LOOPBACK = pb.Verification(loopback=pb.Verification.Loopback())
STANDARD = pb.Verification(standard_webhooks=pb.Verification.StandardWebhooks())
SLACK = pb.Verification(slack=pb.Verification.Slack())
SECRET_URL = pb.Verification(secret_url=pb.Verification.SecretUrl())


def now() -> datetime:
    """Senders sign with the time of now."""
    return datetime.now(UTC)


class Door:
    """One replica: its sources, and its door for deliveries."""

    def __init__(self, webhooks: Webhooks, sources: rpc.SourceServiceStub) -> None:
        self.webhooks = webhooks
        self.sources = sources

    async def create(self, name: str, verification: pb.Verification, **source: object) -> pb.Source:
        """Make a source."""
        return await self.sources.CreateSource(
            pb.CreateSourceRequest(source=pb.Source(verification=verification, **source), source_id=name)  # type: ignore[arg-type]
        )

    async def deliver(
        self, name: str, headers: Headers, body: bytes = BODY, *, address: str = "203.0.113.5", url_secret: str = ""
    ) -> events.DeliveryOutcome:
        """Deliver as the gateway does; raises what the sender is told."""
        now = Timestamp()
        now.GetCurrentTime()
        [outcome] = await self.webhooks.ingest(
            events.Delivery(
                source=name,
                headers=[events.Header(name=each, value=value) for each, value in headers],
                body=body,
                receive_time=now,
                remote_address=address,
                url_secret=url_secret,
            )
        )
        if outcome.status.code:
            raise from_status(outcome.status)
        return outcome

    async def refusal(self, name: str, headers: Headers, body: bytes = BODY, **more: str) -> AppError:
        """What the sender is told."""
        with pytest.raises(AppError) as caught:
            await self.deliver(name, headers, body, **more)
        return caught.value


async def open_door(stack: AsyncExitStack, home: Path, database: str | None, peers: Peers) -> Door:
    """A replica that runs until the exit."""
    settings = settings_in(home, peers, database=database)
    webhooks = await stack.enter_async_context(serving(settings, peers))
    people = await stack.enter_async_context(open_channel(settings.listen, credential=OPERATOR_KEY))
    return Door(webhooks, rpc.SourceServiceStub(people))
