"""What waits and what runs; every label has few values."""

from collections.abc import Mapping

from libs.telemetry.metrics import Metrics
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.control import Backlog


class UpkeepMetrics:
    """The gauges of the queues."""

    def __init__(self, metrics: Metrics) -> None:
        self._depth = metrics.gauge("acquisition_queue_depth", "Acquisitions that wait for their turn.", ["source"])
        self._running = metrics.gauge("acquisition_running", "Acquisitions that run, on all replicas.", ["source"])
        self._age = metrics.gauge(
            "acquisition_backlog_age_seconds", "For how long the most overdue one has been due.", ["source"]
        )
        self._paused = metrics.gauge("acquisitions_paused", "Whether all acquisitions are held.")
        self._kill_switch = metrics.gauge("kill_switch", "Whether nothing may begin; 1 also where that is unknown.")
        self._kill_switch.set(1)  # nothing is known yet

    def backlog(self, found: Mapping[Source, Backlog]) -> None:
        """So much every source has to do."""
        for source, one in found.items():
            self._depth.labels(source).set(one.queued)
            self._running.labels(source).set(one.running)
            self._age.labels(source).set(one.age.total_seconds())

    def switch(self, *, paused: bool) -> None:
        """All are held, or not."""
        self._paused.set(paused)
        self._kill_switch.set(paused)

    def switch_unknown(self) -> None:
        """How the switch stands cannot be read: nothing begins."""
        self._kill_switch.set(1)
