"""What is told of round trips to Redis, which many requests share."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter

from libs.telemetry import Telemetry
from libs.telemetry.correlation import Trace
from libs.telemetry.tracing import UNRECORDED, Span, recorded


class RedisObservation:
    """The metrics of a process's Redis, in its registry, and its spans."""

    def __init__(self, telemetry: Telemetry) -> None:
        metrics = telemetry.metrics
        self._seconds = metrics.histogram("redis_duration_seconds", "How long round trips to Redis took.", ["outcome"])
        self._tracer = telemetry.tracer

    @contextmanager
    def trip(self, requests: Iterable[Trace | None]) -> Iterator[None]:
        """Around a round trip for these requests: below the first that is recorded, with links to all that are."""
        outcome, started = "failed", perf_counter()
        with self._span(recorded(self._tracer, requests)) as span:
            try:
                yield
                outcome = "answered"
            finally:
                self._seconds.labels(outcome).observe(perf_counter() - started)
                span.set("outcome", outcome)

    def _span(self, requests: Sequence[Trace]) -> AbstractContextManager[Span]:
        if not requests:
            return UNRECORDED
        attributes = {"db.system.name": "redis"}
        return self._tracer.span("redis rates", "client", parent=requests[0], links=requests, attributes=attributes)
