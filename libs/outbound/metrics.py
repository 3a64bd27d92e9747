"""What calls to providers and the cache of their answers count; every label has few values."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from libs.clock import Clock
from libs.outbound.breaker import Circuit
from libs.telemetry.metrics import Metrics

CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STATUSES = frozenset(HTTPStatus)


@dataclass
class Call:
    """One call: its HTTP status, or `timeout`, `error` (no answer) or `unreadable` (one that is no JSON)."""

    status: str = "error"

    def answered(self, status: int) -> None:
        """It has a status; made-up ones are all the same."""
        self.status = str(status) if status in _STATUSES else "other"


class OutboundMetrics:
    """The counters of a service's providers, in its registry."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._clock = clock
        self._calls = metrics.counter("outbound_calls", "Calls to providers.", ["provider", "status"])
        self._durations = metrics.histogram(
            "outbound_call_duration_seconds", "How long providers took to answer.", ["provider"], buckets=CALL_SECONDS
        )
        self._circuits = metrics.gauge("outbound_circuit", "0 closed, 1 half open, 2 open.", ["provider"])
        self._waits = metrics.counter("outbound_wait_seconds", "Time spent waiting for a turn.", ["provider"])
        self._operations = metrics.counter("cache_operations", "Uses of a cache.", ["cache_name", "operation"])
        self._hits = metrics.counter("cache_hits", "Answers that a cache had.", ["cache_name"])
        self._misses = metrics.counter("cache_misses", "Answers that a cache lacked.", ["cache_name"])

    @contextmanager
    def calling(self, provider: str) -> Iterator[Call]:
        """Count and time a call."""
        call, start = Call(), self._clock.monotonic()
        try:
            yield call
        finally:
            self._calls.labels(provider, call.status).inc()
            self._durations.labels(provider).observe(self._clock.monotonic() - start)

    def circuit(self, provider: str, circuit: Circuit) -> None:
        """Tell how a breaker stands."""
        self._circuits.labels(provider).set(circuit)

    def waited(self, provider: str, seconds: float) -> None:
        """Count the wait for a turn."""
        self._waits.labels(provider).inc(seconds)

    def looked_up(self, cache: str, *, hit: bool) -> None:
        """Count a look into a cache."""
        self._operations.labels(cache, "get").inc()
        (self._hits if hit else self._misses).labels(cache).inc()

    def kept(self, cache: str) -> None:
        """Count an answer that a cache took."""
        self._operations.labels(cache, "set").inc()
