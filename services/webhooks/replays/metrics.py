"""What is counted of replays."""

from libs.telemetry.metrics import Metrics
from services.webhooks.domain.replays import ReplayState


class ReplayMetrics:
    """The counters of replays, in the registry of the service."""

    def __init__(self, metrics: Metrics) -> None:
        self._events = metrics.counter(
            "webhook_replay_events", "Events that replays looked at: `replayed` or `skipped`.", ["outcome"]
        )
        self._ended = metrics.counter("webhook_replays_ended", "Replays that ended by themselves.", ["state"])

    def batch(self, *, replayed: int, skipped: int) -> None:
        """A batch was stored."""
        self._events.labels("replayed").inc(replayed)
        self._events.labels("skipped").inc(skipped)

    def ended(self, state: ReplayState) -> None:
        """A replay is completed, or was given up."""
        self._ended.labels(state.lower()).inc()
