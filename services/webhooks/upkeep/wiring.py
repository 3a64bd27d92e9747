"""Upkeep, put together."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lockgroove.webhooks.v1 import upkeep_pb2 as pb
from lockgroove.webhooks.v1 import upkeep_pb2_grpc as rpc

from libs.leases.hold import hold
from libs.leases.lease import Lease
from libs.leases.store import SqlLeaseStore
from libs.rpc.server import Server
from libs.service import Loop
from libs.work.job import new_owner
from services.webhooks.domain.backfill import Gap
from services.webhooks.domain.reconciling import Check, GapCheck, Reconciling
from services.webhooks.domain.retention import Remover, Retention
from services.webhooks.ground import Ground
from services.webhooks.tables import lease
from services.webhooks.upkeep import holes, removal, stuck
from services.webhooks.upkeep.audit import OldRecords, SqlAuditTrail
from services.webhooks.upkeep.backlog import SqlBacklog
from services.webhooks.upkeep.live import LiveUpkeep
from services.webhooks.upkeep.metrics import UpkeepMetrics
from services.webhooks.upkeep.notes import Notes
from services.webhooks.upkeep.partitions import SqlPartitions
from services.webhooks.upkeep.registration import RegistrationCheck, Tend
from services.webhooks.upkeep.servicer import UpkeepServicer
from services.webhooks.upkeep.worker import HOURLY, LEASE, Reconciler, RetentionRun
from services.webhooks.watermarks import SqlWatermarks
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
    """The reconciler, retention and partitions of one replica, with their service and their loops."""

    def __init__(self, ground: Ground, *, partitions: SqlPartitions, neighbours: Neighbours) -> None:
        self._ground = ground
        self._database = ground.database
        self._notes = Notes(ground.outbox)
        self._settings = LiveUpkeep(ground.live)
        self._metrics = UpkeepMetrics(ground.telemetry.metrics)
        self._holder = new_owner()
        self._watermarks = SqlWatermarks(ground.database)
        self._leases = SqlLeaseStore(ground.database, lease)
        self._partitions = partitions
        self._registration = RegistrationCheck(ground.database, neighbours.tend)
        self.reconciler = self._reconciler(neighbours)
        self.retention = self._retention()

    def serve(self, server: Server) -> None:
        """Adds UpkeepService to the server."""
        trail = SqlAuditTrail(self._database, self._ground.tokens, self._ground.trail_key)
        servicer = UpkeepServicer(self.reconciler, trail, self._registration)
        server.add(servicer, rpc.add_UpkeepServiceServicer_to_server, SERVICE)

    @property
    def loops(self) -> list[Loop]:
        """What runs beside the server."""
        backlog = SqlBacklog(self._database)

        async def measure() -> None:
            self._metrics.backlog(await backlog.by_state())

        return [
            self.reconciler.run,
            self.retention.run,
            Repeatedly("partitions", self._make_partitions, every=HOURLY).run,
            Repeatedly("backlog", measure, every=MEASURE).run,
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

    def _retention(self) -> RetentionRun:
        return RetentionRun(
            Retention(self._removers(), log=self._metrics, clock=self._ground.clock),
            self._watermarks,
            self._alone,
            days=self._settings.known_days,
            zone=None,
            holder=self._holder,
            done=self._metrics.last_retained,
            ended=self._retained,
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

    def _removers(self) -> list[Remover]:
        return [
            removal.EndedEvents(self._database),
            removal.EndedReplays(self._database),
            removal.Rejections(self._database),
            removal.ExpiredSecrets(self._database),
            OldRecords(self._database, self._ground.trail_key),
            removal.OldDays(self._partitions),
            removal.FreePages(self._database),
        ]

    def _alone(self, name: str, *, wait: bool = False) -> AbstractAsyncContextManager[Lease]:
        return hold(self._leases, name, ttl=LEASE, clock=self._ground.clock, wait=wait)

    async def _make_partitions(self) -> None:
        await self._partitions.make()
        self._metrics.partitions_missing(len(await self._partitions.missing()))

    async def _retained(self, removed: Mapping[str, int]) -> None:
        self._metrics.retained(removed)
        async with self._database.writing() as connection:
            detail: dict[str, Any] = {"removed": dict(removed), "days": self._settings.days()}
            self._notes.of_retention(connection, "retention", detail)
