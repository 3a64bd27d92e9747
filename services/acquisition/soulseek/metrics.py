"""What is counted about Soulseek."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from libs.clock import Clock
from libs.telemetry.metrics import Metrics
from services.acquisition.metrics import DownloadMetrics

_SEARCH_SECONDS = (1.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)


@dataclass
class Search:
    """A search under way; `responses` are the peers that answered."""

    responses: int = 0


class SoulseekMetrics:
    """The series of this part, in the service's registry."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._clock = clock
        self._connected = metrics.gauge("soulseek_connection_status", "1 while logged in to the Soulseek server.")
        self._searches = metrics.counter("soulseek_searches", "Searches that were sent.", ["status"])
        self._search_seconds = metrics.histogram(
            "soulseek_search_duration_seconds", "How long answers were collected.", buckets=_SEARCH_SECONDS
        )
        self.downloads = DownloadMetrics(metrics, clock, prefix="soulseek")

    def connected(self, connected: bool) -> None:
        """Tell whether there is a session."""
        self._connected.set(connected)

    @contextmanager
    def searching(self) -> Iterator[Search]:
        """Count and time a search: `success`, `not_found` or `failed`."""
        search, status, begun = Search(), "failed", self._clock.monotonic()
        try:
            yield search
            status = "success" if search.responses else "not_found"
        finally:
            self._searches.labels(status).inc()
            self._search_seconds.observe(self._clock.monotonic() - begun)
