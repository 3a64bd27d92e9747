"""Encryption, put together: its API, and the loops that follow the wish for new data keys in this service."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from lockgroove.config.v1 import encryption_pb2 as pb
from lockgroove.config.v1 import encryption_pb2_grpc as rpc

from libs.crypto.following import KeyFollower, KeyMetrics
from libs.crypto.resealing import Progress, Resealing
from libs.rpc.server import Server
from libs.service import Loop
from services.config import migrations
from services.config.domain.encryption import DataKeys, Keyring, KeyringState
from services.config.domain.snapshot import SnapshotFeed
from services.config.encryption.columns import SEALED
from services.config.encryption.servicer import EncryptionServicer
from services.config.encryption.store import SqlEncryptionStore
from services.config.ground import Ground

SERVICE = pb.DESCRIPTOR.services_by_name["EncryptionService"].full_name
NAME = "config"


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionSlice:
    """The API of encryption and the follower of its wishes."""

    servicer: EncryptionServicer
    follower: KeyFollower

    def serve(self, server: Server) -> None:
        """Adds EncryptionService to a server."""
        server.add(self.servicer, rpc.add_EncryptionServiceServicer_to_server, SERVICE)

    @property
    def loops(self) -> Sequence[Loop]:
        """What runs beside the server."""
        return self.follower.loops


def make_encryption(ground: Ground, *, feed: SnapshotFeed, changed: Callable[[], None]) -> EncryptionSlice:
    """Wires the slice; `changed` is called when services have something new to obey."""
    keys = DataKeys(SqlEncryptionStore(ground.database), changed=changed)

    async def epochs() -> AsyncIterator[int]:
        async for snapshot in feed.follow():
            yield snapshot.data_key_epoch

    async def tell(progress: Progress) -> None:
        await keys.keep(_keyring(ground, progress))

    resealing = Resealing(ground.database, ground.safe, SEALED, head=migrations.HEAD)
    metrics = KeyMetrics(ground.telemetry.metrics)
    follower = KeyFollower(resealing, epochs=epochs, tell=tell, metrics=metrics)
    return EncryptionSlice(servicer=EncryptionServicer(keys), follower=follower)


def _keyring(ground: Ground, progress: Progress) -> Keyring:
    return Keyring(
        service=NAME,
        state=KeyringState.CURRENT if progress.is_current else KeyringState.ROTATING,
        root_key_id=ground.safe.root_key_id,
        previous_root_key=ground.safe.knows_previous_root_key,
        data_key_id=progress.key_id,
        data_key_created_at=progress.key_created_at,
        data_key_epoch=progress.epoch,
        done=progress.done,
        unreadable=progress.unreadable,
        total=progress.total,
    )
