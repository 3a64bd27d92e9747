"""The settings themselves, put together: the slice that all others of the service look at."""

from asyncio import Event
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

from lockgroove.config.v1 import config_pb2 as pb
from lockgroove.config.v1 import config_pb2_grpc as rpc

from libs.rpc.server import Server
from libs.service import Loop
from libs.telemetry.following import FollowedSettings
from services.config.catalogue import load_catalogue
from services.config.domain.catalogue import Catalogue
from services.config.domain.configuration import Configuration
from services.config.domain.environment import Rules, read_environment
from services.config.domain.keys import ApiKey
from services.config.domain.rollback import Rollbacks
from services.config.domain.sessions import EndedSession
from services.config.domain.snapshot import KeyStore, Snapshot, Snapshots
from services.config.domain.values import Fallbacks, Source
from services.config.exports import Exports
from services.config.ground import Ground
from services.config.history import SqlHistory
from services.config.rules import ProtoRules
from services.config.servicer import ConfigServicer
from services.config.store import SqlSettingStore
from services.config.worker import SnapshotPoller

SERVICE = pb.DESCRIPTOR.services_by_name["ConfigService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What settings there are, which values they may have, and what holds where nobody set one."""

    catalogue: Catalogue
    rules: Rules
    fallbacks: Fallbacks

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """From the protos and the environment; raises BadEnvironment."""
        catalogue = load_catalogue()
        rules = ProtoRules(catalogue)
        fallbacks = Fallbacks(catalogue, read_environment(catalogue, environment, rules))
        return cls(catalogue=catalogue, rules=rules, fallbacks=fallbacks)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsSlice:
    """The settings: read and changed through `configuration`, told to everybody by `feed`."""

    configuration: Configuration
    feed: SnapshotPoller
    servicer: ConfigServicer

    @property
    def texts(self) -> Mapping[str, str]:
        """The values in force, by path; secrets among them."""
        return self.feed.current.settings.texts

    def serve(self, server: Server) -> None:
        """Adds ConfigService to a server."""
        server.add(self.servicer, rpc.add_ConfigServiceServicer_to_server, SERVICE)

    @property
    def loops(self) -> Sequence[Loop]:
        """What runs beside the server."""
        return [self.feed.run]


async def open_settings(
    ground: Ground,
    declared: Declared,
    *,
    keys: KeyStore,
    given: ApiKey | None,
    epoch: Callable[[], Awaitable[int]],
    ended: Callable[[], Awaitable[Sequence[EndedSession]]],
    changed: Event,
) -> SettingsSlice:
    """Wires the slice, with a first snapshot: settings, `keys` and the `given` one, the `epoch` of data keys, and which
    sessions `ended`.
    """
    catalogue, fallbacks, vault = declared.catalogue, declared.fallbacks, ground.vault
    store = SqlSettingStore(ground.database, catalogue=catalogue, vault=vault)
    await store.note_fallbacks(fallbacks.texts, given)
    configuration = Configuration(
        store, catalogue=catalogue, fallbacks=fallbacks, rules=declared.rules, changed=changed.set
    )
    snapshots = Snapshots(configuration, keys, given=given, epoch=epoch, ended=ended)
    feed = SnapshotPoller(snapshots, changed, told=partial(_tell, FollowedSettings(ground.telemetry)))
    await feed.run_once()
    history = SqlHistory(ground.database, catalogue=catalogue, vault=vault, tokens=ground.tokens)
    servicer = ConfigServicer(
        configuration,
        catalogue=catalogue,
        feed=feed,
        history=history,
        rollbacks=Rollbacks(configuration, history, catalogue=catalogue, fingerprint=vault.fingerprint),
        exports=Exports(configuration, catalogue=catalogue, clock=ground.clock),
    )
    return SettingsSlice(configuration=configuration, feed=feed, servicer=servicer)


def _tell(followed: FollowedSettings, snapshot: Snapshot) -> None:
    level = snapshot.settings.values.get("telemetry.log_level")
    followed.taken(snapshot.revision, level.text if level and level.source is Source.DATABASE else None)
