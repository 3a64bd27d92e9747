"""Upkeep, put together."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

from libs.clock import Clock
from libs.leases.hold import LeaseStore, hold
from libs.service import Loop
from libs.sql.engine import Database
from libs.telemetry.metrics import Metrics
from services.acquisition import tables
from services.acquisition.domain import providers
from services.acquisition.domain.control import ControlStore
from services.acquisition.upkeep.metrics import UpkeepMetrics
from services.acquisition.upkeep.removal import EndedJobs, Expired
from services.acquisition.upkeep.retention import Remover, Retention
from services.acquisition.upkeep.sampler import Sampler

TTL = timedelta(seconds=30)


def upkeep_loops(
    database: Database,
    store: ControlStore,
    *,
    kept: Callable[[], providers.Retention],
    leases: LeaseStore,
    metrics: Metrics,
    clock: Clock,
) -> Sequence[Loop]:
    """What runs beside the work, once there are settings; `kept` says for how long things are."""
    shown = UpkeepMetrics(metrics)

    def alone(name: str) -> AbstractAsyncContextManager[Any]:
        return hold(leases, name, ttl=TTL, clock=clock)

    retention = Retention(removers(database, kept), alone=alone, counts=shown, clock=clock)
    return [retention.run, Sampler(store, metrics=shown).run]


def removers(database: Database, kept: Callable[[], providers.Retention]) -> list[Remover]:
    """Everything that is removed once it is old."""
    return [
        EndedJobs(database, tables.acquisition, days=lambda: kept().acquisitions),
        EndedJobs(database, tables.batch, days=lambda: kept().batches),
        Expired(database, tables.search),
        Expired(database, tables.cached_answer),
    ]
