"""LeaseService: translate, call, translate."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from grpc.aio import ServicerContext
from lockgroove.acquisition.v1 import leases_pb2 as pb
from lockgroove.acquisition.v1 import leases_pb2_grpc as rpc
from lockgroove.api.v1 import annotations_pb2 as api

from libs.rpc import context as call
from services.acquisition.domain.leases import Leases, check_may_take
from services.acquisition.leases import convert

Context = ServicerContext[Any, Any]

MARGIN = timedelta(milliseconds=250)  # of the call's deadline: the time to answer that the lease is held


class LeaseServicer(rpc.LeaseServiceServicer):
    """The API of the leases."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases

    async def AcquireLease(self, request: pb.AcquireLeaseRequest, context: Context) -> pb.Lease:
        _check(request.lease)
        wait = _patience(request.wait.ToTimedelta())
        with call.interruptible():
            lease = await self._leases.acquire(request.lease, request.holder, convert.ttl_from_pb(request), wait=wait)
        return convert.lease_to_pb(lease)

    async def RenewLease(self, request: pb.RenewLeaseRequest, context: Context) -> pb.Lease:
        _check(request.lease)
        renewed = await self._leases.renew(convert.lease_from_pb(request), convert.ttl_from_pb(request))
        return convert.lease_to_pb(renewed)

    async def ReleaseLease(self, request: pb.ReleaseLeaseRequest, context: Context) -> pb.Lease:
        _check(request.lease)
        await self._leases.release(convert.lease_from_pb(request))
        return convert.lease_to_pb(await self._leases.get(request.lease))

    async def GetLease(self, request: pb.GetLeaseRequest, context: Context) -> pb.Lease:
        return convert.lease_to_pb(await self._leases.get(request.lease))

    async def ListLeases(self, request: pb.ListLeasesRequest, context: Context) -> pb.ListLeasesResponse:
        return convert.page_to_pb(await self._leases.list(convert.query_from_pb(request)))

    async def WatchLeases(
        self, request: pb.WatchLeasesRequest, context: Context
    ) -> AsyncIterator[pb.WatchLeasesResponse]:
        async for lease in self._leases.watch(request.prefix):
            yield pb.WatchLeasesResponse(lease=convert.lease_to_pb(lease))


def _check(name: str) -> None:
    check_may_take(name, internal=call.principal.get().may(api.INTERNAL))


def _patience(asked: timedelta) -> timedelta:
    """As long as the caller asks, and as the call can still be answered."""
    left = call.remaining()
    return asked if left is None else min(asked, left - MARGIN)
