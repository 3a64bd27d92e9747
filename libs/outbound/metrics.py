"""What calls to providers and the cache of their answers count; every label has few values."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from libs.clock import Clock
from libs.outbound.breaker import Circuit
from libs.outbound.errors import ProviderBusy
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


@dataclass
class Asking:
    """One question: how many calls were tried for it."""

    calls: int = 0


class OutboundMetrics:
    """The counters of a service's providers, in its registry."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._clock = clock
        self._known: set[str] = set()  # providers whose breakers have told
        self._calls = metrics.counter("outbound_calls", "Calls to providers.", ["provider", "endpoint", "status"])
        self._durations = metrics.histogram(
            "outbound_call_duration_seconds", "How long providers took to answer.", ["provider"], buckets=CALL_SECONDS
        )
        self._circuits = metrics.gauge("outbound_circuit", "0 closed, 1 half open, 2 open.", ["provider"])
        self._changes = metrics.counter(
            "outbound_circuit_changes", "How often a breaker became so.", ["provider", "circuit"]
        )
        self._retries = metrics.counter("outbound_retries", "Calls that repeat one that failed.", ["provider"])
        self._retried = metrics.counter(
            "outbound_retried_questions",
            "Questions that took retries: `answered` or `given_up`.",
            ["provider", "outcome"],
        )
        self._waits = metrics.counter("outbound_wait_seconds", "Time spent waiting for a turn.", ["provider"])
        self._turn_waits = metrics.histogram(
            "outbound_turn_wait_seconds", "How long calls waited for their turn.", ["provider"], buckets=CALL_SECONDS
        )
        self._turns = metrics.counter(
            "outbound_turns",
            "Turns that were asked for: `granted`, or `refused` as too far away.",
            ["provider", "outcome"],
        )
        self._operations = metrics.counter("cache_operations", "Uses of a cache.", ["cache_name", "operation"])
        self._hits = metrics.counter("cache_hits", "Answers that a cache had.", ["cache_name"])
        self._misses = metrics.counter("cache_misses", "Answers that a cache lacked.", ["cache_name"])

    @contextmanager
    def calling(self, provider: str, endpoint: str) -> Iterator[Call]:
        """Count and time a call."""
        call, start = Call(), self._clock.monotonic()
        try:
            yield call
        finally:
            self._calls.labels(provider, endpoint, call.status).inc()
            self._durations.labels(provider).observe(self._clock.monotonic() - start)

    def circuit(self, provider: str, circuit: Circuit) -> None:
        """Tell what a breaker became; at first, how it stands."""
        self._circuits.labels(provider).set(circuit)
        if provider in self._known:
            self._changes.labels(provider, circuit.name.lower()).inc()
        self._known.add(provider)

    @contextmanager
    def taking_turn(self, provider: str) -> Iterator[None]:
        """Count whether there is a turn."""
        try:
            yield
        except ProviderBusy:
            self._turns.labels(provider, "refused").inc()
            raise
        self._turns.labels(provider, "granted").inc()

    def waited(self, provider: str, seconds: float) -> None:
        """Count the wait for a turn."""
        self._waits.labels(provider).inc(seconds)
        self._turn_waits.labels(provider).observe(seconds)

    @contextmanager
    def asking(self, provider: str) -> Iterator[Asking]:
        """Count what a question took, beyond one call."""
        asking = Asking()
        outcome = "given_up"
        try:
            yield asking
            outcome = "answered"
        finally:
            if asking.calls > 1:
                self._retries.labels(provider).inc(asking.calls - 1)
                self._retried.labels(provider, outcome).inc()

    def looked_up(self, cache: str, *, hit: bool) -> None:
        """Count a look into a cache."""
        self._operations.labels(cache, "get").inc()
        (self._hits if hit else self._misses).labels(cache).inc()

    def kept(self, cache: str) -> None:
        """Count an answer that a cache took."""
        self._operations.labels(cache, "set").inc()
