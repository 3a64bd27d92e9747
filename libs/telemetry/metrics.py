"""Metrics of one service: every name begins with `lockgroove_`, every label has few values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A metric as Prometheus names it."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str


class Metrics:
    """Makes the metrics of one service and prints them for Prometheus."""

    def __init__(self) -> None:
        # The times of creation double every counter and tell nothing that a scrape does not. It has no annotations.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.described: list[Described] = []
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def counter(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Counter:
        """A number that only grows: `lockgroove_<name>_total`."""
        self._describe("counter", f"{name}_total", labels, documentation)
        return Counter(name, documentation, labels, namespace=PREFIX, registry=self.registry)

    def gauge(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Gauge:
        """A number that goes up and down: `lockgroove_<name>`."""
        self._describe("gauge", name, labels, documentation)
        return Gauge(name, documentation, labels, namespace=PREFIX, registry=self.registry)

    def histogram(
        self, name: str, documentation: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = DURATIONS
    ) -> Histogram:
        """A distribution: `lockgroove_<name>`, in seconds unless the name says otherwise."""
        self._describe("histogram", name, labels, documentation)
        return Histogram(name, documentation, labels, namespace=PREFIX, registry=self.registry, buckets=buckets)

    def render(self) -> bytes:
        """All of them as text (Prometheus exposition format 0.0.4)."""
        return generate_latest(self.registry)

    def _describe(
        self, kind: Literal["counter", "gauge", "histogram"], name: str, labels: Sequence[str], documentation: str
    ) -> None:
        named = f"{PREFIX}_{name}"
        self.described.append(Described(name=named, type=kind, labels=tuple(labels), help=documentation))
