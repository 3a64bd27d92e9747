"""What the acquisition service counts; every label has few values."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from libs.clock import Clock
from libs.outbound.metrics import Call
from libs.telemetry.metrics import Metrics
from libs.telemetry.tracing import LocalTracer, Span, Tracer
from services.acquisition.domain.peers import PeerNetworkFault

JOB_SECONDS = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 3600.0, 86400.0)
DOWNLOAD_SECONDS = (5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0)
CALL_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0)


class AcquisitionMetrics:
    """The counters of this service, in its registry."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._clock = clock
        jobs = ("source", "status")
        self._jobs = metrics.counter("download_jobs", "Acquisitions that ended.", jobs)
        self._durations = metrics.histogram(
            "download_job_duration_seconds", "From request to end.", jobs, buckets=JOB_SECONDS
        )
        self._active = metrics.gauge("active_downloads", "Steps of acquisitions that run here now.", ["source"])
        self._calls = metrics.counter("lidarr_api_calls", "Calls to Lidarr.", ["endpoint", "status"])
        self._call_durations = metrics.histogram(
            "lidarr_api_duration_seconds", "How long Lidarr took to answer.", ["endpoint"], buckets=CALL_SECONDS
        )

    def ended(self, source: str, status: str, seconds: float | None) -> None:
        """Count an acquisition that ended so many seconds after it was asked for, if that is known."""
        self._jobs.labels(source, status).inc()
        if seconds is not None:
            self._durations.labels(source, status).observe(seconds)

    @contextmanager
    def working(self, source: str) -> Iterator[None]:
        """Count a step while it runs."""
        with self._active.labels(source).track_inprogress():
            yield

    @contextmanager
    def calling(self, path: str) -> Iterator[Call]:
        """Count and time a call to Lidarr; ids in the path do not become labels."""
        endpoint = "/".join(part for part in path.split("/") if part and not part.isdecimal())
        call = Call()
        start = self._clock.monotonic()
        try:
            yield call
        finally:
            self._calls.labels(endpoint, call.status).inc()
            self._call_durations.labels(endpoint).observe(self._clock.monotonic() - start)


@dataclass
class Arrived:
    """What came of a download."""

    size: int = 0


class DownloadMetrics:
    """The files that one network of peers was asked for: `soulseek_downloads`, `slskd_downloads`; a span each."""

    def __init__(self, metrics: Metrics, clock: Clock, *, prefix: str, tracer: Tracer | None = None) -> None:
        self._clock = clock
        self._tracer = tracer or LocalTracer()
        self._span = f"{prefix} download"
        self._running = metrics.gauge(f"{prefix}_downloads_running", "Files that are asked for or arrive now.")
        self._bytes = metrics.counter(f"{prefix}_downloaded_bytes", "Sizes of the files that arrived whole.")
        self._downloads = metrics.counter(f"{prefix}_downloads", "Files that were asked for.", ["status"])
        self._seconds = metrics.histogram(
            f"{prefix}_download_duration_seconds", "From asking to the end.", ["status"], buckets=DOWNLOAD_SECONDS
        )

    @contextmanager
    def downloading(self) -> Iterator[Arrived]:
        """Count and time a download: `success`, the reason of its fault in lower case, or `stopped`."""
        arrived = Arrived()
        with self._running.track_inprogress(), self._tracer.span(self._span, "client", attributes={}) as span:
            with self._timed(span):
                yield arrived
            self._bytes.inc(arrived.size)
            span.set("bytes", arrived.size)

    @contextmanager
    def _timed(self, span: Span) -> Iterator[None]:
        status, begun = "stopped", self._clock.monotonic()
        try:
            yield
            status = "success"
        except PeerNetworkFault as fault:
            status = fault.reason.lower()
            raise
        except OSError:
            status = "local_disk"
            raise
        finally:
            self._downloads.labels(status).inc()
            span.set("status", status)
            self._seconds.labels(status).observe(self._clock.monotonic() - begun)
