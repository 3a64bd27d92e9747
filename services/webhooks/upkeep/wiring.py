"""Upkeep, put together."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from lockgroove.webhooks.v1 import upkeep_pb2 as pb
from lockgroove.webhooks.v1 import upkeep_pb2_grpc as rpc

from libs.cleanup.remover import Remover
from libs.cleanup.report import Report
from libs.cleanup.wiring import CleanupSlice, CleanupTables
from libs.cleanup.worker import Schedule
from libs.leases.hold import hold
from libs.leases.lease import Lease
from libs.leases.store import SqlLeaseStore
from libs.rpc.server import Server
from libs.service import Loop
from libs.sql.engine import Database
from libs.sql.watermarks import SqlWatermarks
from libs.work.job import new_owner
from services.webhooks.domain.backfill import Gap
from services.webhooks.domain.reconciling import Check, GapCheck, Reconciling
from services.webhooks.ground import Ground
from services.webhooks.tables import lease, watermark
from services.webhooks.upkeep import holes, removal, stuck
from services.webhooks.upkeep.audit import OldRecords, SqlAuditTrail
from services.webhooks.upkeep.backlog import SqlBacklog
from services.webhooks.upkeep.live import LiveUpkeep
from services.webhooks.upkeep.metrics import UpkeepMetrics
from services.webhooks.upkeep.notes import Notes
from services.webhooks.upkeep.partitions import SqlPartitions
from services.webhooks.upkeep.registration import RegistrationCheck, Tend
from services.webhooks.upkeep.removal import Days
from services.webhooks.upkeep.servicer import UpkeepServicer
from services.webhooks.upkeep.worker import HOURLY, LEASE, Reconciler
from services.webhooks.worker import MEASURE, Repeatedly

SERVICE = pb.DESCRIPTOR.services_by_name["UpkeepService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """What upkeep needs of the rest of the service: whom to wake, whom to ask, who tends our registration."""

    wake: Callable[[], None]
    newest: Callable[[], Awaitable[datetime | None]]
    tend: Tend
    gaps: Sequence[Gap] = ()


async def open_partitions(ground: Ground) -> SqlPartitions:
    """The days of bodies; when it returns those of the coming week are there. Raises DatabaseUnavailable."""
    partitions = SqlPartitions(ground.database, Notes(ground.outbox))
    await partitions.make()
    return partitions


class Upkeep:
    """The reconciler, the clean-up and the partitions of one replica, with their service and their loops."""

    def __init__(self, ground: Ground, *, partitions: SqlPartitions, neighbours: Neighbours) -> None:
        self._ground = ground
        self._database = ground.database
        self._notes = Notes(ground.outbox)
        self._settings = LiveUpkeep(ground.live)
        self._metrics = UpkeepMetrics(ground.telemetry.metrics)
        self._holder = new_owner()
        self._watermarks = SqlWatermarks(ground.database, watermark)
        self._leases = SqlLeaseStore(ground.database, lease)
        self._partitions = partitions
        self._registration = RegistrationCheck(ground.database, neighbours.tend)
        self.reconciler = self._reconciler(neighbours)
        self.cleanup = self._make_cleanup()

    def serve(self, server: Server) -> None:
        """Adds UpkeepService and CleanupService to the server."""
        trail = SqlAuditTrail(self._database, self._ground.tokens, self._ground.trail_key)
        servicer = UpkeepServicer(self.reconciler, trail, self._registration)
        server.add(servicer, rpc.add_UpkeepServiceServicer_to_server, SERVICE)
        self.cleanup.serve(server)

    @property
    def loops(self) -> list[Loop]:
        """What runs beside the server."""
        backlog = SqlBacklog(self._database)

        async def measure() -> None:
            self._metrics.backlog(await backlog.by_state())

        return [
            self.reconciler.run,
            Repeatedly("partitions", self._make_partitions, every=HOURLY).run,
            Repeatedly("backlog", measure, every=MEASURE).run,
            *(partial(self._once_settled, loop) for loop in self.cleanup.loops),
        ]

    def _reconciler(self, neighbours: Neighbours) -> Reconciler:
        reconciling = Reconciling(self._checks(neighbours), log=self._metrics, clock=self._ground.clock)
        return Reconciler(
            reconciling,
            self._watermarks,
            self._alone,
            interval=self._settings.interval,
            clock=self._ground.clock,
            holder=self._holder,
            done=self._metrics.last_reconciled,
        )

    async def _once_settled(self, loop: Loop) -> None:
        await self._ground.live.first()
        await loop()

    def _make_cleanup(self) -> CleanupSlice:
        return CleanupSlice(
            "webhooks",
            removers(self._database, self._partitions, self._ground.trail_key, days=self._settings.known_days),
            Schedule(at=self._settings.cleanup_time),
            database=self._database,
            tables=CleanupTables(lease=lease, watermark=watermark),
            metrics=self._ground.telemetry.metrics,
            clock=self._ground.clock,
            ended=self._cleaned,
        )

    def _checks(self, neighbours: Neighbours) -> list[Check]:
        database, notes, wake = self._database, self._notes, neighbours.wake
        return [
            self._partitions,
            holes.MissingBodies(database, notes),
            holes.MissingWork(database, self._ground.jobs),
            holes.orphaned_work(database, notes),
            holes.orphaned_bodies(database, notes, self._settings.days),
            stuck.ExpiredLeases(database, notes, wake),
            stuck.OverdueWork(database, notes, wake),
            stuck.OutdatedMatches(database, notes, wake, newest=neighbours.newest),
            *map(GapCheck, neighbours.gaps),
        ]

    def _alone(self, name: str, *, wait: bool = False) -> AbstractAsyncContextManager[Lease]:
        return hold(self._leases, name, ttl=LEASE, clock=self._ground.clock, wait=wait)

    async def _make_partitions(self) -> None:
        await self._partitions.make()
        self._metrics.partitions_missing(len(await self._partitions.missing()))

    async def _cleaned(self, report: Report) -> None:
        async with self._database.writing() as connection:
            detail: dict[str, Any] = {"removed": dict(report.removed), "days": self._settings.days()}
            self._notes.of_retention(connection, "retention", detail)


def removers(database: Database, partitions: SqlPartitions, trail_key: bytes, *, days: Days) -> list[Remover]:
    """What is removed of the inbox; what has ended is kept for so many `days`."""
    return [
        removal.EndedEvents(database, days),
        removal.EndedReplays(database, days),
        removal.rejections(database, days),
        removal.expired_secrets(database),
        OldRecords(database, trail_key, days),
        removal.OldDays(partitions, days),
        removal.FreePages(database),
    ]
