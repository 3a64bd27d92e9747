"""What a process tells about itself: its version, how long it runs, and how late its event loop is."""

import asyncio
import time
from importlib.metadata import version

from libs.telemetry.metrics import Metrics

LAG_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
INTERVAL = 1.0  # seconds between two looks


class ProcessMetrics:
    """The metrics of one service's process, in its registry."""

    def __init__(self, metrics: Metrics) -> None:
        started = time.monotonic()
        build = metrics.gauge("build_info", "The version that runs, as a label; always 1.", ["version"])
        build.labels(version("lockgroove")).set(1)
        uptime = metrics.gauge("uptime_seconds", "For how long the service has run.")
        uptime.set_function(lambda: time.monotonic() - started)
        self._lag = metrics.histogram(
            "event_loop_lag_seconds", "How late the event loop comes to what is due.", buckets=LAG_SECONDS
        )

    async def run(self) -> None:
        """Measures the lag again and again."""
        while True:
            await self.run_once(INTERVAL)

    async def run_once(self, interval: float) -> None:
        """One look: how much later than after so many seconds it is our turn."""
        due = time.monotonic() + interval
        await asyncio.sleep(interval)
        self._lag.observe(max(0.0, time.monotonic() - due))
