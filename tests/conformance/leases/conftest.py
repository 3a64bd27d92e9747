"""Leases on each database with a clock that the test moves: the store, the service, and the service from afar."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from lockgroove.acquisition.v1 import leases_pb2_grpc as rpc
from sqlalchemy import MetaData, Table

from libs.clock import SystemClock
from libs.errors import AppError
from libs.leases.hold import LeaseStore
from libs.leases.lease import Lease
from libs.leases.remote import RemoteLeases
from libs.leases.store import SqlLeaseStore
from libs.leases.tables import lease_table
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.client import open_channel
from libs.rpc.server import Server
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.leases import Leases
from services.acquisition.leases.metrics import LeaseMetrics
from services.acquisition.leases.servicer import LeaseServicer
from services.acquisition.leases.store import SqlLeaseBook
from services.acquisition.leases.wiring import SERVICE
from tests.support.database_clock import DatabaseClock


@pytest.fixture
def clock() -> DatabaseClock:
    return DatabaseClock()


@pytest.fixture
def table() -> Table:
    return lease_table(MetaData())


@pytest.fixture
async def lease_database(database: Database, table: Table) -> Database:
    async with database.writing() as connection:
        await connection.run_sync(table.metadata.create_all)
    return database


@pytest.fixture
def store(lease_database: Database, table: Table, clock: DatabaseClock) -> SqlLeaseStore:
    """The bare store, as another process would use it."""
    return SqlLeaseStore(lease_database, table, now=clock.now)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


class WatchedBook(SqlLeaseBook):
    """Counts what it is asked for, and fails when a test says so."""

    attempts = 0
    looks = 0
    fault: AppError | None = None

    async def acquire(self, name: str, holder: str, ttl: timedelta) -> Lease:
        self.attempts += 1
        self._fail()
        return await super().acquire(name, holder, ttl)

    async def held(self, limit: int) -> Sequence[Lease]:
        self.looks += 1
        self._fail()
        return await super().held(limit)

    def _fail(self) -> None:
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def book(lease_database: Database, table: Table, clock: DatabaseClock) -> WatchedBook:
    """The leases of the service."""
    return WatchedBook(lease_database, table, tokens=PageTokens(b"key"), now=clock.now)


@pytest.fixture
async def service(book: WatchedBook, metrics: Metrics) -> AsyncIterator[Leases]:
    """The service's leases, with the loop that looks at what other processes do."""
    leases = Leases(book, log=LeaseMetrics(metrics), clock=SystemClock(), look_seconds=0.02)
    running = asyncio.create_task(leases.run())
    yield leases
    running.cancel()
    await asyncio.wait([running])


@pytest.fixture(params=["store", "service", "remote"])
async def leases(request: pytest.FixtureRequest, store: SqlLeaseStore, service: Leases) -> AsyncIterator[LeaseStore]:
    """Whatever gives leases out."""
    if request.param == "remote":
        async with served(service) as remote:
            yield remote
    else:
        yield store if request.param == "store" else service


@asynccontextmanager
async def served(leases: Leases) -> AsyncIterator[RemoteLeases]:
    """The leases over a server on loopback."""
    server = Server("127.0.0.1:0", authenticator=KeyAuthenticator(["token"], lambda: []))
    server.add(LeaseServicer(leases), rpc.add_LeaseServiceServicer_to_server, SERVICE)
    async with server, open_channel(server.address, credential="token") as channel:
        yield RemoteLeases(channel)
