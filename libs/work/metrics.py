"""What is counted of the steps of durable work; every label has few values."""

from collections.abc import Iterator
from contextlib import contextmanager

from libs.clock import Clock
from libs.telemetry.metrics import Metrics
from libs.work.run import Run

STEP_SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


class WorkMetrics:
    """The steps that this process runs, by queue; one for all queues of a service."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._clock = clock
        self._claims = metrics.counter(
            "work_claims",
            "Steps that were begun: `first`, `again` after a failure, `taken_over` from who never ended it.",
            ["queue", "how"],
        )
        self._runs = metrics.counter(
            "work_runs",
            "Steps that ended: `stored`, `retry`, `given_back`, or `lost` with their lease.",
            ["queue", "outcome"],
        )
        self._durations = metrics.histogram(
            "work_duration_seconds", "How long steps ran.", ["queue"], buckets=STEP_SECONDS
        )
        self._running = metrics.gauge("work_running", "Steps that run here now.", ["queue"])

    @contextmanager
    def running(self, run: Run) -> Iterator[None]:
        """Count and time a step."""
        queue, begun = run.claim.queue, self._clock.monotonic()
        how = "taken_over" if run.claim.crashes else "again" if run.claim.attempt else "first"
        self._claims.labels(queue, how).inc()
        try:
            with self._running.labels(queue).track_inprogress():
                yield
        finally:
            self._runs.labels(queue, run.outcome).inc()
            self._durations.labels(queue).observe(self._clock.monotonic() - begun)
