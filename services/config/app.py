"""The config service, put together."""

from asyncio import Event
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from lockgroove.config.v1 import config_pb2 as pb
from lockgroove.config.v1 import config_pb2_grpc as rpc

from libs.rpc.server import Server
from libs.service import Loop, Service
from libs.telemetry.exposition import open_exposition
from services.config.automations.wiring import make_automations
from services.config.catalogue import load_catalogue
from services.config.connections.wiring import make_connections
from services.config.domain.configuration import Configuration
from services.config.domain.environment import read_environment
from services.config.domain.keys import given_admin_key
from services.config.domain.rollback import Rollbacks
from services.config.domain.snapshot import Snapshots
from services.config.domain.values import Fallbacks
from services.config.encryption.store import SqlEncryptionStore
from services.config.encryption.wiring import make_encryption
from services.config.exports import Exports
from services.config.ground import open_ground
from services.config.history import SqlHistory
from services.config.keys.wiring import make_keys
from services.config.oauth.wiring import make_oauth
from services.config.onboarding.wiring import make_onboarding
from services.config.rules import ProtoRules
from services.config.servicer import ConfigServicer
from services.config.settings import Settings
from services.config.store import SqlSettingStore
from services.config.worker import SnapshotPoller

SERVICE = pb.DESCRIPTOR.services_by_name["ConfigService"].full_name


class Slice(Protocol):
    """A part of the service with an API and loops of its own."""

    @property
    def loops(self) -> Sequence[Loop]:
        """What runs beside the server."""
        ...

    def serve(self, server: Server) -> None:
        """Adds its API to the server."""
        ...


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[Service]:
    """Constructs everything in order. Raises AppError for what the environment, the root key or the database deny."""
    catalogue = load_catalogue()
    rules = ProtoRules(catalogue)
    fallbacks = Fallbacks(catalogue, read_environment(catalogue, settings.environment, rules))
    given = given_admin_key(settings.admin_key) if settings.admin_key else None
    async with AsyncExitStack() as stack:
        ground = await stack.enter_async_context(open_ground(settings))
        store = SqlSettingStore(ground.database, catalogue=catalogue, vault=ground.vault)
        await store.note_fallbacks(fallbacks.texts, given)
        changed = Event()
        keys = make_keys(ground, given=given is not None, changed=changed)
        if given is None:
            await keys.keep_first()

        configuration = Configuration(store, catalogue=catalogue, fallbacks=fallbacks, rules=rules, changed=changed.set)
        poller = SnapshotPoller(
            Snapshots(configuration, keys.store, given=given, epoch=SqlEncryptionStore(ground.database).epoch), changed
        )
        await poller.run_once()
        connections = make_connections(ground, current=configuration.current, catalogue=catalogue, rules=rules)
        encryption = make_encryption(ground, feed=poller, changed=changed.set)
        oauth = make_oauth(ground, settings=lambda: poller.current.settings.texts)
        onboarding = make_onboarding(ground, test=connections.verdict)
        automations = await make_automations(
            ground, settings=lambda: poller.current.settings.texts, refreshes=oauth.tokens
        )
        slices: list[Slice] = [keys, connections, encryption, oauth, automations, onboarding]

        authenticator = keys.authenticator(ground.service_tokens, lambda: poller.current.keys)
        server = Server(
            settings.listen, authenticator=authenticator, telemetry=ground.telemetry, ready=ground.database.ping
        )
        history = SqlHistory(ground.database, catalogue=catalogue, vault=ground.vault, tokens=ground.tokens)
        servicer = ConfigServicer(
            configuration,
            catalogue=catalogue,
            feed=poller,
            history=history,
            rollbacks=Rollbacks(configuration, history, catalogue=catalogue, fingerprint=ground.vault.fingerprint),
            exports=Exports(configuration, catalogue=catalogue, clock=ground.clock),
        )
        server.add(servicer, rpc.add_ConfigServiceServicer_to_server, SERVICE)
        for each in slices:
            each.serve(server)
        await stack.enter_async_context(open_exposition(ground.telemetry.metrics, settings.listen))
        yield Service(server, loops=[poller.run, *(loop for each in slices for loop in each.loops)])
