"""What is counted of batches."""

from libs.telemetry.metrics import Metrics


class BatchMetrics:
    """The numbers of batches, in the registry of the service."""

    def __init__(self, metrics: Metrics) -> None:
        self._ended = metrics.counter("batches", "Batches that ended.", ["status"])
        self._active = metrics.gauge("active_batches", "Batches that have not ended, whoever works on them.")

    def ended(self, status: str) -> None:
        """Count a batch that ended."""
        self._ended.labels(status).inc()

    def active(self, count: int) -> None:
        """So many batches have not ended."""
        self._active.set(count)
