"""Encryption between the domain and the protos."""

from datetime import UTC

from lockgroove.config.v1 import encryption_pb2 as pb

from libs.rpc.timestamps import timestamp
from services.config.domain.encryption import Encryption, Keyring, KeyringState


def encryption_to_pb(encryption: Encryption) -> pb.Encryption:
    """How it stands, as callers see it."""
    return pb.Encryption(
        data_key_epoch=encryption.epoch,
        request_time=timestamp(encryption.requested_at),
        actor=encryption.actor,
        done=encryption.is_done,
        keyrings=map(_keyring_to_pb, encryption.keyrings),
    )


def keyring_from_pb(keyring: pb.Keyring) -> Keyring:
    """What a service tells. What a newer release may call its state is not done yet."""
    current = keyring.state == pb.Keyring.CURRENT
    made = keyring.data_key_create_time.ToDatetime(UTC) if keyring.HasField("data_key_create_time") else None
    return Keyring(
        service=keyring.service,
        state=KeyringState.CURRENT if current else KeyringState.ROTATING,
        root_key_id=keyring.root_key_id,
        previous_root_key=keyring.previous_root_key,
        data_key_id=keyring.data_key_id,
        data_key_created_at=made,
        data_key_epoch=keyring.data_key_epoch,
        done=keyring.done_count,
        unreadable=keyring.unreadable_count,
        total=keyring.total_count,
    )


def _keyring_to_pb(keyring: Keyring) -> pb.Keyring:
    return pb.Keyring(
        service=keyring.service,
        state=pb.Keyring.State.Value(keyring.state),
        root_key_id=keyring.root_key_id,
        previous_root_key=keyring.previous_root_key,
        data_key_id=keyring.data_key_id,
        data_key_create_time=timestamp(keyring.data_key_created_at),
        data_key_epoch=keyring.data_key_epoch,
        done_count=keyring.done,
        unreadable_count=keyring.unreadable,
        total_count=keyring.total,
        report_time=timestamp(keyring.reported_at),
    )
