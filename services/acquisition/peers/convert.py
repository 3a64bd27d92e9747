"""Records of peers between the domain and the protos."""

from datetime import datetime

from lockgroove.acquisition.v1 import peers_pb2 as pb

from libs.clock import Clock
from libs.rpc.timestamps import timestamp
from services.acquisition.domain.reputation import PeerRecord


def record_to_pb(record: PeerRecord) -> pb.Peer:
    """What is remembered of a peer, as callers see it."""
    return pb.Peer(
        peer=record.peer,
        failure_count=record.failures,
        success_count=record.successes,
        received_bytes=record.received_bytes,
        last_failure=record.last_failure,
        failure_time=timestamp(record.failed_at),
        block_end_time=timestamp(record.blocked_until),
        manual=record.manual,
        reason=record.reason,
    )


def end_of_block(request: pb.BlockPeerRequest, clock: Clock) -> datetime | None:
    """When the block ends; None is never."""
    return clock.now() + request.duration.ToTimedelta() if request.HasField("duration") else None
