"""Upkeep, put together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import time

from libs.cleanup.remover import Remover
from libs.cleanup.wiring import CleanupSlice, CleanupTables
from libs.cleanup.worker import Schedule
from libs.clock import Clock
from libs.rpc.server import Server
from libs.service import Loop
from libs.sql.engine import Database
from libs.telemetry.metrics import Metrics
from services.acquisition import tables
from services.acquisition.domain import providers
from services.acquisition.domain.control import ControlStore
from services.acquisition.upkeep import removal
from services.acquisition.upkeep.metrics import UpkeepMetrics
from services.acquisition.upkeep.sampler import Sampler

_OF_AN_ACQUISITION = frozenset(["attempt", "library_file", "request", "lidarr_album", "lidarr_download"])
_OF_A_BATCH = frozenset(["batch_album"])


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepSlice:
    """The clean-up and its API, and the gauges of the queues."""

    cleanup: CleanupSlice
    sampler: Sampler

    @property
    def loops(self) -> Sequence[Loop]:
        """What runs beside the work, once there are settings."""
        return [*self.cleanup.loops, self.sampler.run]

    def serve(self, server: Server) -> None:
        """Adds CleanupService to a server."""
        self.cleanup.serve(server)


def make_upkeep(
    database: Database,
    store: ControlStore,
    *,
    kept: Callable[[], providers.Retention],
    at: Callable[[], time],
    metrics: Metrics,
    clock: Clock,
) -> UpkeepSlice:
    """Wires the slice; `kept` says for how long things are, and `at` when the clean-up begins."""
    cleanup = CleanupSlice(
        "acquisition",
        removers(database, kept),
        Schedule(at=at),
        database=database,
        tables=CleanupTables(lease=tables.lease, watermark=tables.watermark),
        metrics=metrics,
        clock=clock,
        expiring=expiring(database),
    )
    return UpkeepSlice(cleanup=cleanup, sampler=Sampler(store, metrics=UpkeepMetrics(metrics)))


def removers(database: Database, kept: Callable[[], providers.Retention]) -> list[Remover]:
    """What is removed once it ended long ago."""
    return [
        removal.EndedJobs(
            database,
            tables.acquisition,
            kind="acquisitions",
            days=lambda: kept().acquisitions,
            children=_OF_AN_ACQUISITION,
        ),
        removal.EndedJobs(database, tables.batch, kind="batches", days=lambda: kept().batches, children=_OF_A_BATCH),
    ]


def expiring(database: Database) -> list[Remover]:
    """What expires soon after it was made."""
    return [
        removal.expired(database, tables.search, kind="searches", rule="an hour"),
        removal.expired(database, tables.cached_answer, kind="answers", rule="as long as their provider's data hold"),
    ]
