"""The numbers of the clean-up; every kind is there from the start."""

from collections.abc import Iterable

from libs.cleanup.report import Report
from libs.telemetry.metrics import Metrics

_MINUTES = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600)  # seconds: between steps it waits, so it may take long


class CleanupMetrics:
    """When it ran last, how long, what it removed, and what it could not."""

    def __init__(self, metrics: Metrics, kinds: Iterable[str]) -> None:
        self._last = metrics.gauge(
            "cleanup_last_run_timestamp_seconds", "When the last whole run of any replica ended; 0 before the first."
        )
        self._duration = metrics.histogram(
            "cleanup_duration_seconds", "How long a run of this replica took.", buckets=_MINUTES
        )
        self._removed = metrics.counter("cleanup_removed", "What was removed because it was old.", ["what"])
        self._failures = metrics.counter("cleanup_failures", "Kinds of which a run could not remove all.", ["what"])
        for kind in kinds:
            self._removed.labels(kind)
            self._failures.labels(kind)

    def removed(self, kind: str, count: int) -> None:
        """So many of one kind were removed."""
        self._removed.labels(kind).inc(count)

    def failed(self, kind: str) -> None:
        """Not all of one kind could be removed."""
        self._failures.labels(kind).inc()

    def ended(self, report: Report) -> None:
        """A run of this replica has ended."""
        self._duration.observe((report.ended - report.started).total_seconds())

    def last(self, report: Report) -> None:
        """This was the last run of any replica."""
        if not report.problems:
            self._last.set(report.ended.timestamp())
