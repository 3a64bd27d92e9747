"""The clean-up of one service, put together."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta

from lockgroove.api.v1 import cleanup_pb2_grpc as rpc
from sqlalchemy import Table

from libs.cleanup.metrics import CleanupMetrics
from libs.cleanup.remover import Remover
from libs.cleanup.report import Report
from libs.cleanup.run import Run
from libs.cleanup.servicer import SERVICE, CleanupServicer
from libs.cleanup.worker import Daily, Hourly, Schedule
from libs.clock import Clock
from libs.leases.hold import hold
from libs.leases.lease import Lease, new_holder
from libs.leases.store import SqlLeaseStore
from libs.rpc.server import Server
from libs.service import Loop
from libs.sql.engine import Database
from libs.sql.watermarks import SqlWatermarks
from libs.telemetry.metrics import Metrics

LEASE = "lockgroove/cleanup"
TTL = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupTables:
    """Where a service keeps who cleans up now, and what came of the last time."""

    lease: Table
    watermark: Table


class CleanupSlice:
    """The clean-up of one service, with its API and its loops.

    A run removes what all `removers` do; what `expiring` ones remove leaves hourly, too. `ended` is told of each run.
    """

    def __init__(
        self,
        service: str,
        removers: Sequence[Remover],
        when: Schedule,
        *,
        database: Database,
        tables: CleanupTables,
        metrics: Metrics,
        clock: Clock,
        expiring: Sequence[Remover] = (),
        ended: Callable[[Report], Awaitable[None]] | None = None,
    ) -> None:
        everything = [*removers, *expiring]
        counts = CleanupMetrics(metrics, [each.kind for each in everything])
        leases = SqlLeaseStore(database, tables.lease)
        watermarks = SqlWatermarks(database, tables.watermark)

        def alone() -> AbstractAsyncContextManager[Lease]:
            return hold(leases, LEASE, ttl=TTL, clock=clock)

        async def is_running() -> bool:
            lease = await leases.find(LEASE)
            return lease is not None and lease.holder is not None

        run = Run(everything, counts=counts, clock=clock)
        self.daily = Daily(run, watermarks, alone, when, holder=new_holder(), metrics=counts, ended=ended)
        self.hourly = Hourly(Run(expiring, counts=counts, clock=clock), watermarks)
        self._servicer = CleanupServicer(service, self.daily, is_running=is_running)

    @property
    def loops(self) -> list[Loop]:
        """What runs beside the server."""
        return [self.daily.run, self.hourly.run]

    def serve(self, server: Server) -> None:
        """Adds CleanupService to a server."""
        server.add(self._servicer, rpc.add_CleanupServiceServicer_to_server, SERVICE)
