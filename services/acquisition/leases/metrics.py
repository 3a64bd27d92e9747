"""What is counted of leases; every label has few values."""

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from libs.errors import AppError, Unavailable
from libs.leases.errors import LeaseHeld, LeaseLost
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.leases import RESERVED, SOULSEEK

_WAIT_SECONDS = (0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_KINDS = ("soulseek", "suite", "other")
_DONE = {"acquire": "acquired", "renew": "renewed", "release": "released"}


class LeaseMetrics:
    """The counters of leases, in the service's registry."""

    def __init__(self, metrics: Metrics) -> None:
        self._operations = metrics.counter("lease_operations", "Operations on leases.", ["operation", "result"])
        self._held = metrics.gauge("leases_held", "Leases that are held, by the kind of their names.", ["kind"])
        self._waits = metrics.histogram(
            "lease_wait_seconds", "How long callers waited for a lease.", buckets=_WAIT_SECONDS
        )

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        """Around an `acquire`, `renew` or `release`: counts how it ended."""
        result = "cancelled"
        try:
            yield
            result = _DONE[name]
        except AppError as error:
            result = _result(error)
            raise
        finally:
            self._operations.labels(name, result).inc()

    def waited(self, seconds: float) -> None:
        """Somebody waited so long for a lease, whether he got it or not."""
        self._waits.observe(seconds)

    def held(self, names: Collection[str]) -> None:
        """These are held now."""
        counts = Counter(map(_kind, names))
        for kind in _KINDS:
            self._held.labels(kind).set(counts[kind])


def _result(error: AppError) -> str:
    match error:
        case LeaseHeld():
            return "held"
        case LeaseLost():
            return "lost"
        case Unavailable():
            return "unavailable"
        case _:
            return "error"


def _kind(name: str) -> str:
    if name.startswith(SOULSEEK):
        return "soulseek"
    return "suite" if name.startswith(RESERVED) else "other"
