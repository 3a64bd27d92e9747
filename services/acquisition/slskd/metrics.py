"""What is counted about slskd."""

from collections.abc import Iterator
from contextlib import contextmanager

from libs.clock import Clock
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.peers import PeerNetworkFault

_DOWNLOAD_SECONDS = (5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0)


class SlskdMetrics:
    """The series of this part, in the service's registry: those of Soulseek under another name."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._clock = clock
        self._downloads = metrics.counter("slskd_downloads", "Files that slskd was asked for.", ["status"])
        self._seconds = metrics.histogram(
            "slskd_download_duration_seconds", "From asking to the end.", ["status"], buckets=_DOWNLOAD_SECONDS
        )

    @contextmanager
    def downloading(self) -> Iterator[None]:
        """Count and time a download: `success`, the reason of its fault in lower case, or `stopped`."""
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
            self._seconds.labels(status).observe(self._clock.monotonic() - begun)
