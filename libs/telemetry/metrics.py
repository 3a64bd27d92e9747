"""Metrics of one service: every name begins with `lockgroove_`, every label has few values."""

from collections.abc import Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

PREFIX = "lockgroove"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds


class Metrics:
    """Makes the metrics of one service and prints them for Prometheus."""

    def __init__(self) -> None:
        # The times of creation double every counter and tell nothing that a scrape does not. It has no annotations.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def counter(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Counter:
        """A number that only grows: `lockgroove_<name>_total`."""
        return Counter(name, documentation, labels, namespace=PREFIX, registry=self.registry)

    def gauge(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Gauge:
        """A number that goes up and down: `lockgroove_<name>`."""
        return Gauge(name, documentation, labels, namespace=PREFIX, registry=self.registry)

    def histogram(
        self, name: str, documentation: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = DURATIONS
    ) -> Histogram:
        """A distribution: `lockgroove_<name>`, in seconds unless the name says otherwise."""
        return Histogram(name, documentation, labels, namespace=PREFIX, registry=self.registry, buckets=buckets)

    def render(self) -> bytes:
        """All of them as text (Prometheus exposition format 0.0.4)."""
        return generate_latest(self.registry)
