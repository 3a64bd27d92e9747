"""Leases of another process: a client of LeaseService, to be used with `hold` like a store of one's own."""

from datetime import UTC, timedelta

import grpc
from google.protobuf.duration_pb2 import Duration
from lockgroove.acquisition.v1 import leases_pb2 as pb
from lockgroove.acquisition.v1 import leases_pb2_grpc as rpc

from libs.errors import AppError
from libs.leases.errors import LeaseHeld, LeaseLost
from libs.leases.lease import Lease

_TRAVEL = timedelta(seconds=10)  # on top of what the caller waits for a lease
_RENEWALS = 6  # in a TTL, as `hold` has it: a renewal that hangs must leave time for the next
_SHORTEST = timedelta(seconds=1)


class RemoteLeases:
    """Leases over a channel as `libs.rpc.client.open_channel` makes it, on which calls raise AppError.

    Every method raises Unavailable or DeadlineExceeded when nobody answers: then it is unknown whether the lease was
    taken. Asking again as the same holder is safe.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = rpc.LeaseServiceStub(channel)

    async def acquire(
        self, name: str, holder: str, ttl: timedelta | None = None, *, wait: timedelta = timedelta()
    ) -> Lease:
        """Takes a free lease, after waiting for it if need be; raises LeaseHeld, or PermissionDenied for some names."""
        request = pb.AcquireLeaseRequest(lease=name, holder=holder, ttl=_duration(ttl), wait=_duration(wait))
        try:
            return _lease(await self._stub.AcquireLease(request, timeout=(wait + _TRAVEL).total_seconds()))
        except AppError as error:
            raise _known(error) from error

    async def renew(self, lease: Lease, ttl: timedelta | None = None) -> Lease:
        """Extends a lease; raises LeaseLost."""
        request = pb.RenewLeaseRequest(
            lease=lease.name, holder=lease.holder or "", fence=lease.fence, ttl=_duration(ttl)
        )
        timeout = max(_SHORTEST, (ttl or lease.remaining) / _RENEWALS)
        try:
            return _lease(await self._stub.RenewLease(request, timeout=timeout.total_seconds()))
        except AppError as error:
            raise _known(error) from error

    async def release(self, lease: Lease) -> None:
        """Frees a lease at once; one that was lost is left to its new holder."""
        await self._stub.ReleaseLease(
            pb.ReleaseLeaseRequest(lease=lease.name, holder=lease.holder or "", fence=lease.fence)
        )


def _lease(answer: pb.Lease) -> Lease:
    return Lease(
        name=answer.lease,
        holder=answer.holder or None,
        fence=answer.fence,
        expires_at=answer.expire_time.ToDatetime(UTC),
        remaining=answer.remaining.ToTimedelta(),
    )


def _known(error: AppError) -> AppError:
    """As the facts of this package, which cross the wire by their reasons."""
    for kind in (LeaseHeld, LeaseLost):
        if error.code_reason == kind.reason:
            return kind(error.message, metadata=error.metadata, retry_after=error.retry_after)
    return error


def _duration(time: timedelta | None) -> Duration | None:
    if time is None:
        return None
    duration = Duration()
    duration.FromTimedelta(time)
    return duration
