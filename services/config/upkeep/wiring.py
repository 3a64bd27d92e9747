"""The clean-up of the config service, put together."""

from collections.abc import Callable, Mapping

from libs.cleanup.schedule import time_of
from libs.cleanup.wiring import CleanupSlice, CleanupTables
from libs.cleanup.worker import Schedule
from services.config import tables
from services.config.ground import Ground
from services.config.keys.store import SqlKeyStore
from services.config.upkeep.removal import expiring, removers

_TIME = "upkeep.cleanup_time"


def make_cleanup(
    ground: Ground, keys: SqlKeyStore, *, settings: Callable[[], Mapping[str, str]], changed: Callable[[], None]
) -> CleanupSlice:
    """Wires the slice. `settings` are those in force, by path; `changed` says that services have to be told."""
    return CleanupSlice(
        "config",
        removers(ground.database, keys, changed=changed),
        Schedule(at=lambda: time_of(settings()[_TIME])),
        database=ground.database,
        tables=CleanupTables(lease=tables.lease, watermark=tables.watermark),
        metrics=ground.telemetry.metrics,
        clock=ground.clock,
        expiring=expiring(ground.database),
    )
