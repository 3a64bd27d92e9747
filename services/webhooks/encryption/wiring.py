"""Follows the wish for new data keys, and tells the config service how it stands here."""

from collections.abc import AsyncIterator

from lockgroove.config.v1 import encryption_pb2 as pb
from lockgroove.config.v1 import encryption_pb2_grpc as rpc

from libs.crypto.following import KeyFollower, KeyMetrics
from libs.crypto.resealing import Progress, Resealing
from libs.crypto.safe import Safe
from libs.rpc.timestamps import timestamp
from services.webhooks import migrations
from services.webhooks.encryption.columns import SEALED
from services.webhooks.ground import Ground

NAME = "webhooks"


def follow_data_keys(ground: Ground) -> KeyFollower:
    """Wires the follower; while the config service is away it goes on with what it knows, and tells it later."""
    service = rpc.EncryptionServiceStub(ground.config)

    async def epochs() -> AsyncIterator[int]:
        async for snapshot in ground.live.updates():
            yield snapshot.data_key_epoch

    async def tell(progress: Progress) -> None:
        await service.ReportKeyring(pb.ReportKeyringRequest(keyring=_keyring(ground.safe, progress)))

    resealing = Resealing(ground.database, ground.safe, SEALED, head=migrations.HEAD)
    return KeyFollower(resealing, epochs=epochs, tell=tell, metrics=KeyMetrics(ground.telemetry.metrics))


def _keyring(safe: Safe, progress: Progress) -> pb.Keyring:
    return pb.Keyring(
        service=NAME,
        state=pb.Keyring.CURRENT if progress.is_current else pb.Keyring.ROTATING,
        root_key_id=safe.root_key_id,
        previous_root_key=safe.knows_previous_root_key,
        data_key_id=progress.key_id,
        data_key_create_time=timestamp(progress.key_created_at),
        data_key_epoch=progress.epoch,
        done_count=progress.done,
        unreadable_count=progress.unreadable,
        total_count=progress.total,
    )
