"""The config service, put together."""

from asyncio import Event
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from libs.backup.folder import backup_folder
from libs.rpc.server import Server
from libs.service import Loop, Service
from libs.telemetry.exposition import open_exposition
from services.config.automations.wiring import make_automations
from services.config.backups import tell_of_backups
from services.config.connections.wiring import make_connections
from services.config.domain.keys import given_admin_key
from services.config.encryption.store import SqlEncryptionStore
from services.config.encryption.wiring import make_encryption
from services.config.ground import open_ground
from services.config.keys.wiring import make_keys
from services.config.oauth.wiring import make_oauth
from services.config.onboarding.wiring import make_onboarding
from services.config.sessions.store import SqlSessionStore
from services.config.sessions.wiring import make_sessions
from services.config.settings import Settings
from services.config.status import make_status
from services.config.upkeep.wiring import make_cleanup
from services.config.wiring import Declared, open_settings


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
async def open_app(settings: Settings) -> AsyncIterator[Service[Server]]:
    """Constructs everything in order. Raises AppError for what the environment, the root key or the database deny."""
    declared = Declared.read(settings.environment)
    given = given_admin_key(settings.admin_key) if settings.admin_key else None
    async with AsyncExitStack() as stack:
        ground, changed = await stack.enter_async_context(open_ground(settings)), Event()
        keys = make_keys(ground, given=given is not None, changed=changed)
        if given is None:
            await keys.keep_first()
        kept = SqlSessionStore(ground.database, tokens=ground.tokens)

        own = await open_settings(
            ground,
            declared,
            keys=keys.store,
            given=given,
            epoch=SqlEncryptionStore(ground.database).epoch,
            ended=lambda: kept.ended(ground.clock.now()),
            changed=changed,
        )
        connections = make_connections(
            ground, current=own.configuration.current, catalogue=declared.catalogue, rules=declared.rules
        )
        encryption = make_encryption(ground, feed=own.feed, changed=changed.set)
        oauth = make_oauth(ground, settings=lambda: own.texts)
        automations = await make_automations(ground, settings=lambda: own.texts, refreshes=oauth.tokens)
        onboarding = make_onboarding(ground, test=connections.verdict)
        cleanup = make_cleanup(ground, keys.store, settings=lambda: own.texts, changed=changed.set)
        sessions = make_sessions(ground, kept, feed=own.feed, changed=changed)
        status = make_status(ground)
        tell_of_backups(ground.telemetry.metrics, backup_folder(settings.home, settings.environment))
        slices: list[Slice] = [own, keys, sessions, connections, encryption, oauth, automations, onboarding, cleanup]

        server = Server(
            settings.listen,
            authenticator=keys.authenticator(ground.service_tokens, lambda: own.feed.current),
            telemetry=ground.telemetry,
            ready=ground.database.ping,
            certificates=ground.certificates,
        )
        for each in slices:
            each.serve(server)
        status.serve(server)
        await stack.enter_async_context(open_exposition(ground.telemetry.metrics, settings.listen))
        yield Service(
            server, telemetry=ground.telemetry, loops=[status.run, *(loop for each in slices for loop in each.loops)]
        )
