"""LeaseService as callers meet it: who may take what, how long a call waits, and what its answers say."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from lockgroove.acquisition.v1 import leases_pb2 as pb
from lockgroove.acquisition.v1 import leases_pb2_grpc as rpc
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import config_pb2

from libs.clock import SystemClock
from libs.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from libs.rpc.auth import KeyAuthenticator, digest
from libs.rpc.client import open_channel
from libs.rpc.server import Server
from libs.sql.engine import open_database
from libs.sql.paging import PageTokens
from libs.telemetry.metrics import Metrics
from services.acquisition import tables
from services.acquisition.domain.leases import Leases
from services.acquisition.leases.wiring import make_leases
from tests.support.waiting import eventually

MINUTE = Duration(seconds=60)


@dataclass
class Service:
    """A server, and stubs of three callers: the suite itself, an operator, and one who may only read."""

    leases: Leases
    server: Server
    stack: AsyncExitStack
    suite: rpc.LeaseServiceStub
    operator: rpc.LeaseServiceStub
    reader: rpc.LeaseServiceStub

    async def take(self, lease: str, holder: str = "one", **more: Duration) -> pb.Lease:
        return await self.operator.AcquireLease(pb.AcquireLeaseRequest(lease=lease, holder=holder, **more))


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    keys = [
        config_pb2.ApiKey(title="operator", digest=digest("operator"), scopes=[api.ADMIN]),
        config_pb2.ApiKey(title="reader", digest=digest("reader"), scopes=[api.READ]),
    ]
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(f"sqlite+aiosqlite:///{tmp_path}/test.db", schema="test")
        )
        async with database.writing() as connection:
            await connection.run_sync(tables.lease.create)
        made = make_leases(database, tokens=PageTokens(b"key"), metrics=Metrics(), clock=SystemClock())
        looking = asyncio.create_task(made.leases.run())
        server = Server("127.0.0.1:0", authenticator=KeyAuthenticator(["suite"], lambda: keys))
        made.serve(server)
        serving = await stack.enter_async_context(AsyncExitStack())
        await serving.enter_async_context(server)
        stubs = [
            rpc.LeaseServiceStub(await stack.enter_async_context(open_channel(server.address, credential=key)))
            for key in ("suite", "operator", "reader")
        ]
        yield Service(made.leases, server, serving, *stubs)
        looking.cancel()
        await asyncio.wait([looking])


async def test_a_connection_to_soulseek_is_leased_for_six_minutes(service: Service) -> None:
    lease = await service.suite.AcquireLease(pb.AcquireLeaseRequest(lease="soulseek/host/me", holder="one"))

    assert lease.remaining.ToTimedelta() == timedelta(minutes=6)


async def test_everything_else_is_leased_for_thirty_seconds(service: Service) -> None:
    lease = await service.take("backup")

    assert lease.remaining.ToTimedelta() == timedelta(seconds=30)
    assert (lease.lease, lease.holder, lease.fence) == ("backup", "one", 1)


@pytest.mark.parametrize("name", ["soulseek/host/me", "acquisition-retention", "lockgroove/x"])
async def test_what_the_suite_holds_nobody_else_takes_extends_or_frees(service: Service, name: str) -> None:
    lease = await service.suite.AcquireLease(pb.AcquireLeaseRequest(lease=name, holder="one"))

    with pytest.raises(PermissionDenied) as refusal:
        await service.take(name)
    with pytest.raises(PermissionDenied):
        await service.operator.RenewLease(pb.RenewLeaseRequest(lease=name, holder="one", fence=lease.fence))
    with pytest.raises(PermissionDenied):
        await service.operator.ReleaseLease(pb.ReleaseLeaseRequest(lease=name, holder="one", fence=lease.fence))
    assert refusal.value.code_reason == "LEASE_RESERVED"
    assert (await service.reader.GetLease(pb.GetLeaseRequest(lease=name))).holder == "one"


async def test_who_may_only_read_takes_nothing(service: Service) -> None:
    with pytest.raises(PermissionDenied):
        await service.reader.AcquireLease(pb.AcquireLeaseRequest(lease="backup", holder="one"))


async def test_a_held_lease_is_a_conflict_that_says_when_to_come_back(service: Service) -> None:
    await service.take("backup")

    with pytest.raises(Conflict) as refusal:
        await service.take("backup", "two")

    assert refusal.value.code_reason == "LEASE_HELD"
    assert refusal.value.retry_after is not None
    assert timedelta(seconds=20) < refusal.value.retry_after < timedelta(seconds=31)


async def test_a_lost_lease_is_a_failed_precondition(service: Service) -> None:
    lease = await service.take("backup")

    with pytest.raises(FailedPrecondition) as refusal:
        await service.operator.RenewLease(pb.RenewLeaseRequest(lease="backup", holder="one", fence=lease.fence + 1))

    assert refusal.value.code_reason == "LEASE_LOST"


async def test_a_wait_that_outlasts_its_call_ends_before_it(service: Service) -> None:
    await service.take("backup")

    with pytest.raises(Conflict) as refusal:
        await service.operator.AcquireLease(
            pb.AcquireLeaseRequest(lease="backup", holder="two", wait=MINUTE), timeout=1.5
        )

    assert refusal.value.code_reason == "LEASE_HELD"


async def test_a_call_that_waits_gets_the_lease_when_it_is_given_back(service: Service) -> None:
    held = await service.take("backup")
    waiting = asyncio.create_task(service.take("backup", "two", wait=MINUTE))
    await is_waited_for(service)

    freed = await service.operator.ReleaseLease(pb.ReleaseLeaseRequest(lease="backup", holder="one", fence=held.fence))

    assert (await waiting).fence == held.fence + 1
    assert (freed.holder, freed.fence) in (("", 1), ("two", 2))


async def test_a_call_that_was_cancelled_takes_nothing(service: Service) -> None:
    held = await service.take("backup")
    waiting = asyncio.create_task(service.take("backup", "two", wait=MINUTE))
    await is_waited_for(service)

    waiting.cancel()
    await asyncio.wait([waiting])
    await service.operator.ReleaseLease(pb.ReleaseLeaseRequest(lease="backup", holder="one", fence=held.fence))

    assert (await service.take("backup", "three", wait=MINUTE)).holder == "three"


async def test_who_waits_does_not_keep_the_server_from_stopping(service: Service) -> None:
    await service.take("backup")
    async with grpc.aio.insecure_channel(service.server.address) as bare:  # no second try
        request = pb.AcquireLeaseRequest(lease="backup", holder="two", wait=MINUTE)
        waiting = rpc.LeaseServiceStub(bare).AcquireLease(
            request, metadata=(("x-api-key", "operator"),), wait_for_ready=True
        )
        await is_waited_for(service)

        begun = time.monotonic()
        await service.stack.aclose()

        assert await waiting.code() is grpc.StatusCode.UNAVAILABLE
        assert time.monotonic() - begun < 5  # of a grace of 10


async def test_leases_are_listed_page_by_page(service: Service) -> None:
    for name in ("a", "b", "c"):
        await service.take(name)
    await service.operator.ReleaseLease(pb.ReleaseLeaseRequest(lease="b", holder="one", fence=1))

    first = await service.reader.ListLeases(pb.ListLeasesRequest(page_size=2))
    rest = await service.reader.ListLeases(pb.ListLeasesRequest(page_size=2, page_token=first.next_page_token))
    held = await service.reader.ListLeases(pb.ListLeasesRequest(held=True))

    assert [(lease.lease, lease.holder) for lease in first.leases] == [("a", "one"), ("b", "")]
    assert ([lease.lease for lease in rest.leases], rest.next_page_token) == (["c"], "")
    assert [lease.lease for lease in held.leases] == ["a", "c"]
    with pytest.raises(InvalidArgument):
        await service.reader.ListLeases(pb.ListLeasesRequest(held=True, page_token=first.next_page_token))


async def test_a_free_lease_shows_its_last_fence_and_no_time(service: Service) -> None:
    await service.take("backup")

    freed = await service.operator.ReleaseLease(pb.ReleaseLeaseRequest(lease="backup", holder="one", fence=1))

    assert freed == pb.Lease(lease="backup", fence=1)


async def test_a_lease_that_nobody_ever_held_is_not_found(service: Service) -> None:
    with pytest.raises(NotFound) as refusal:
        await service.reader.GetLease(pb.GetLeaseRequest(lease="backup"))

    assert refusal.value.code_reason == "LEASE_NOT_FOUND"


async def test_changes_of_holders_are_streamed(service: Service) -> None:
    await service.take("backup")
    seen = []

    async with asyncio.timeout(20):
        async for message in service.reader.WatchLeases(pb.WatchLeasesRequest(prefix="back")):
            seen.append((message.lease.holder, message.lease.fence))
            if len(seen) == 1:
                await service.operator.ReleaseLease(pb.ReleaseLeaseRequest(lease="backup", holder="one", fence=1))
            if len(seen) == 2:
                break

    assert seen == [("one", 1), ("", 1)]


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("lease", pb.AcquireLeaseRequest(lease="/x", holder="one")),
        ("lease", pb.AcquireLeaseRequest(lease="\u00e4", holder="one")),
        ("holder", pb.AcquireLeaseRequest(lease="x")),
        ("ttl", pb.AcquireLeaseRequest(lease="x", holder="one", ttl=Duration(nanos=1))),
        ("ttl", pb.AcquireLeaseRequest(lease="x", holder="one", ttl=Duration(seconds=86_401))),
        ("wait", pb.AcquireLeaseRequest(lease="x", holder="one", wait=Duration(seconds=-1))),
    ],
)
async def test_what_is_wrong_with_a_request_is_named(
    service: Service, field: str, request_: pb.AcquireLeaseRequest
) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        await service.operator.AcquireLease(request_)

    assert [violation.field for violation in refusal.value.violations] == [field]


async def is_waited_for(service: Service) -> None:
    """Return once a call waits inside the server."""

    async def there() -> bool:
        return "backup" in service.leases.waited_for

    await eventually(there, every=0.01)
