"""What is told of backups: the newest in the folder that was restored once, to see whether it can be."""

import math
from pathlib import Path

from libs.backup.folder import newest_verified
from libs.telemetry.metrics import Metrics


def tell_of_backups(metrics: Metrics, folder: Path) -> None:
    """Adds the gauges, which look into the folder whenever they are read; they are NaN while it holds none."""

    def made() -> float:
        newest = newest_verified(folder)
        return newest.made_at.timestamp() if newest else math.nan

    def size() -> float:
        newest = newest_verified(folder)
        return newest.size if newest else math.nan

    moment = metrics.gauge("backup_last_success_timestamp_seconds", "When the newest verified backup was made.")
    moment.set_function(made)
    metrics.gauge("backup_size_bytes", "The size of the newest verified backup.").set_function(size)
