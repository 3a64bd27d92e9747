"""The stubs of every service, on channels that one key opens."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from lockgroove.acquisition.v1.acquisition_pb2_grpc import AcquisitionServiceStub
from lockgroove.acquisition.v1.batches_pb2_grpc import BatchServiceStub
from lockgroove.acquisition.v1.leases_pb2_grpc import LeaseServiceStub
from lockgroove.acquisition.v1.peers_pb2_grpc import PeerServiceStub
from lockgroove.acquisition.v1.searches_pb2_grpc import SearchServiceStub
from lockgroove.config.v1.automations_pb2_grpc import AutomationServiceStub
from lockgroove.config.v1.config_pb2_grpc import ConfigServiceStub
from lockgroove.config.v1.connections_pb2_grpc import ConnectionServiceStub
from lockgroove.config.v1.encryption_pb2_grpc import EncryptionServiceStub
from lockgroove.config.v1.keys_pb2_grpc import KeyServiceStub
from lockgroove.config.v1.oauth_pb2_grpc import OAuthServiceStub
from lockgroove.config.v1.onboarding_pb2_grpc import OnboardingServiceStub
from lockgroove.config.v1.sessions_pb2_grpc import SessionServiceStub
from lockgroove.webhooks.v1.dead_letters_pb2_grpc import DeadLetterServiceStub
from lockgroove.webhooks.v1.replays_pb2_grpc import ReplayServiceStub
from lockgroove.webhooks.v1.sources_pb2_grpc import SourceServiceStub
from lockgroove.webhooks.v1.upkeep_pb2_grpc import UpkeepServiceStub
from lockgroove.webhooks.v1.webhooks_pb2_grpc import WebhooksServiceStub

from libs.client.once import OnceChannel
from libs.rpc.client import TIMEOUT, open_channel
from libs.rpc.tls import Certificates


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the services answer gRPC, as `host:port`."""

    acquisition: str = "127.0.0.1:50051"
    webhooks: str = "127.0.0.1:50052"
    config: str = "127.0.0.1:50053"


class Client:
    """One attribute for each service; its methods are the RPCs. They raise the errors of `libs.errors`."""

    def __init__(self, *, acquisition: Any, webhooks: Any, config: Any) -> None:  # channels, as far as stubs need them
        self.acquisitions = AcquisitionServiceStub(acquisition)
        self.batches = BatchServiceStub(acquisition)
        self.leases = LeaseServiceStub(acquisition)
        self.peers = PeerServiceStub(acquisition)
        self.searches = SearchServiceStub(acquisition)

        self.events = WebhooksServiceStub(webhooks)
        self.dead_letters = DeadLetterServiceStub(webhooks)
        self.replays = ReplayServiceStub(webhooks)
        self.sources = SourceServiceStub(webhooks)
        self.upkeep = UpkeepServiceStub(webhooks)

        self.settings = ConfigServiceStub(config)
        self.keys = KeyServiceStub(config)
        self.sessions = SessionServiceStub(config)
        self.encryption = EncryptionServiceStub(config)
        self.connections = ConnectionServiceStub(config)
        self.accounts = OAuthServiceStub(config)
        self.automations = AutomationServiceStub(config)
        self.onboarding = OnboardingServiceStub(config)


@asynccontextmanager
async def open_client(
    key: str,
    addresses: Addresses | None = None,
    *,
    timeout: timedelta = TIMEOUT,
    certificates: Certificates | None = None,
) -> AsyncIterator[Client]:
    """A client for as long as it is used. `timeout` is what a unary call may take, unless it says otherwise itself.

    A call that may be made twice is tried again when its service is away for a moment. `certificates` are for suites
    whose services speak mutual TLS.
    """
    where = addresses or Addresses()
    targets = {"acquisition": where.acquisition, "webhooks": where.webhooks, "config": where.config}
    async with AsyncExitStack() as stack:
        open_one = partial(open_channel, credential=key, timeout=timeout, certificates=certificates)
        channels = {name: await stack.enter_async_context(open_one(target)) for name, target in targets.items()}
        yield Client(**{name: OnceChannel(channel) for name, channel in channels.items()})
