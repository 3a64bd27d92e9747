"""The config service, put together."""

import os
import sys
from asyncio import Event
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from lockgroove.config.v1 import config_pb2 as pb
from lockgroove.config.v1 import config_pb2_grpc as rpc

from libs.crypto import Keyring, derive, load_root_key, service_token
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.server import Server
from libs.service import Service
from libs.sql.engine import Database
from libs.sql.upgrade import open_service_database
from libs.telemetry import open_telemetry
from libs.telemetry.exposition import open_exposition
from services.config import convert, migrations
from services.config.catalogue import load_catalogue
from services.config.domain.configuration import Configuration
from services.config.domain.environment import read_environment
from services.config.domain.keys import ApiKey, admin_key, given_admin_key, new_key
from services.config.domain.snapshot import Snapshots
from services.config.domain.values import Fallbacks
from services.config.rules import ProtoRules
from services.config.servicer import ConfigServicer
from services.config.settings import Settings
from services.config.store import SqlKeyStore, SqlSettingStore
from services.config.vault import Vault
from services.config.worker import SnapshotPoller

SERVICE = pb.DESCRIPTOR.services_by_name["ConfigService"].full_name


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[Service]:
    """Constructs everything in order. Raises AppError for what the environment, the root key or the database deny."""
    catalogue = load_catalogue()
    rules = ProtoRules(catalogue)
    fallbacks = Fallbacks(catalogue, read_environment(catalogue, settings.environment, rules))
    given = given_admin_key(settings.admin_key) if settings.admin_key else None
    async with AsyncExitStack() as stack:
        telemetry = stack.enter_context(
            open_telemetry("config", otlp_endpoint=settings.otlp_endpoint, level=settings.log_level)
        )
        root = load_root_key(settings.home, settings.secret_key)
        database = await stack.enter_async_context(_open_database(settings))
        store = SqlSettingStore(database, catalogue=catalogue, vault=_vault(root))
        keys = SqlKeyStore(database)
        await store.check_root_key()
        await store.note_fallbacks(fallbacks.texts, given)
        if given is None:
            await keys.keep_first(announced_admin_key)

        changed = Event()
        configuration = Configuration(store, catalogue=catalogue, fallbacks=fallbacks, rules=rules, changed=changed.set)
        poller = SnapshotPoller(Snapshots(configuration, keys, given=given), changed)
        await poller.run_once()
        authenticator = KeyAuthenticator(service_token(root), lambda: map(convert.key_to_pb, poller.current.keys))
        server = Server(settings.listen, authenticator=authenticator, telemetry=telemetry, ready=database.ping)
        servicer = ConfigServicer(configuration, catalogue=catalogue, feed=poller)
        server.add(servicer, rpc.add_ConfigServiceServicer_to_server, SERVICE)
        await stack.enter_async_context(open_exposition(telemetry.metrics, settings.listen))
        yield Service(server, loops=[poller.run])


def _vault(root: bytes) -> Vault:
    return Vault(Keyring.from_secret(root), fingerprint_key=derive(root, "config fingerprints"))


def announced_admin_key() -> ApiKey:
    """A new key for the administrator, shown on stdout, where it must have arrived before anything else happens."""
    key = new_key(os.urandom)
    sys.stdout.write(f"Admin API key (shown once): {key}\n")
    sys.stdout.flush()
    return admin_key(key, title="admin")


def _open_database(settings: Settings) -> AbstractAsyncContextManager[Database]:
    return open_service_database(
        "config",
        home=settings.home,
        configured=settings.database,
        package=migrations.__name__,
        head=migrations.HEAD,
    )
