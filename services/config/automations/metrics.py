"""What is counted of automations."""

from libs.telemetry.metrics import Metrics
from services.config.domain.automations import ActionStatus


class AutomationMetrics:
    """The counter of actions, in the registry of the service."""

    def __init__(self, metrics: Metrics) -> None:
        self._actions = metrics.counter(
            "automation_actions", "What automations did, or did not do.", ["automation", "status"]
        )

    def ended(self, automation: str, status: ActionStatus) -> None:
        """This came of an action."""
        self._actions.labels(automation, status.lower()).inc()
