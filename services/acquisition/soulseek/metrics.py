"""What is counted about Soulseek."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from libs.clock import Clock
from libs.telemetry.metrics import Metrics
from libs.telemetry.tracing import LocalTracer, Tracer
from services.acquisition.domain.peers import PeerNetworkFault
from services.acquisition.metrics import DownloadMetrics

_SEARCH_SECONDS = (1.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)


@dataclass
class Search:
    """A search under way; `responses` are the peers that answered."""

    responses: int = 0


class SoulseekMetrics:
    """The series of this part, in the service's registry."""

    def __init__(self, metrics: Metrics, clock: Clock, tracer: Tracer | None = None) -> None:
        self._clock = clock
        self._tracer = tracer or LocalTracer()
        self._connected = metrics.gauge("soulseek_connection_status", "1 while logged in to the Soulseek server.")
        self._searches = metrics.counter("soulseek_searches", "Searches that were sent.", ["status"])
        self._search_seconds = metrics.histogram(
            "soulseek_search_duration_seconds", "How long answers were collected.", buckets=_SEARCH_SECONDS
        )
        self._logins = metrics.counter(
            "soulseek_logins", "Tries to have a session: `success`, or the reason why there was none.", ["outcome"]
        )
        self._ends = metrics.counter("soulseek_session_ends", "Sessions that ended, and why.", ["reason"])
        self.downloads = DownloadMetrics(metrics, clock, prefix="soulseek", tracer=tracer)

    def connected(self, connected: bool) -> None:
        """Tell whether there is a session."""
        self._connected.set(connected)
        if connected:
            self._logins.labels("success").inc()

    def ended(self, fault: PeerNetworkFault, *, had_begun: bool) -> None:
        """A session ended, or never began."""
        (self._ends if had_begun else self._logins).labels(fault.reason.lower()).inc()

    @contextmanager
    def searching(self) -> Iterator[Search]:
        """Count and time a search: `success`, `not_found` or `failed`."""
        search, status, begun = Search(), "failed", self._clock.monotonic()
        with self._tracer.span("soulseek search", "client", attributes={}) as span:
            try:
                yield search
                status = "success" if search.responses else "not_found"
            finally:
                self._searches.labels(status).inc()
                self._search_seconds.observe(self._clock.monotonic() - begun)
                span.set("status", status)
                span.set("responses", search.responses)
