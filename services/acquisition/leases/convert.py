"""Leases between the domain and the protos."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from lockgroove.acquisition.v1 import leases_pb2 as pb

from libs.leases.lease import Lease
from libs.sql.types import from_millis
from services.acquisition.domain.leases import LeasePage, LeaseQuery


def lease_from_pb(request: pb.RenewLeaseRequest | pb.ReleaseLeaseRequest) -> Lease:
    """The lease that a holder means, by its fence."""
    return Lease(name=request.lease, holder=request.holder, fence=request.fence, expires_at=from_millis(0))


def ttl_from_pb(request: pb.AcquireLeaseRequest | pb.RenewLeaseRequest) -> timedelta | None:
    """For how long; None where the request does not say."""
    return request.ttl.ToTimedelta() if request.HasField("ttl") else None


def query_from_pb(request: pb.ListLeasesRequest) -> LeaseQuery:
    """Which leases to list."""
    return LeaseQuery(held=request.held, page_size=request.page_size, page_token=request.page_token)


def lease_to_pb(lease: Lease) -> pb.Lease:
    """The lease as callers see it."""
    shown = pb.Lease(lease=lease.name, fence=lease.fence)
    if lease.holder is not None:
        shown.holder = lease.holder
        shown.expire_time.FromDatetime(lease.expires_at)
        shown.remaining.CopyFrom(_duration(lease.remaining))
    return shown


def page_to_pb(page: LeasePage) -> pb.ListLeasesResponse:
    """A page of them."""
    return pb.ListLeasesResponse(leases=[lease_to_pb(lease) for lease in page.leases], next_page_token=page.next_token)


def _duration(time: timedelta) -> Duration:
    duration = Duration()
    duration.FromTimedelta(time)
    return duration
