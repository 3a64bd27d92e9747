"""What upkeep counts and logs; every label has few values."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from libs.telemetry.logger import get_logger
from libs.telemetry.metrics import Metrics
from services.webhooks.domain.event import State
from services.webhooks.domain.reconciling import Finding, Kind

log = get_logger()


class UpkeepMetrics:
    """Findings, when it was looked for them last, by whom, and how much waits."""

    def __init__(self, metrics: Metrics) -> None:
        self._findings = metrics.counter(
            "webhook_reconciliation_findings", "What was found stuck or missing, and corrected.", ["kind"]
        )
        self._passes = metrics.histogram("webhook_reconciliation_duration_seconds", "How long one pass took.")
        self._reconciled = metrics.gauge(
            "webhook_reconciliation_last_run_timestamp_seconds", "When the last pass of any replica ended."
        )
        self._leader = metrics.gauge(
            "webhook_upkeep_leader", "Whether this replica did it last, under the lease of this name.", ["lease"]
        )
        self._partitions = metrics.gauge("webhook_partitions_missing", "Days from today to a week ahead without room.")
        self._waiting = metrics.gauge("webhook_backlog_state_events", "Events that have not ended.", ["state"])
        self._age = metrics.gauge(
            "webhook_backlog_state_age_seconds", "How long ago the oldest of them was received.", ["state"]
        )
        for kind in Kind:
            self._findings.labels(kind.lower())

    def found(self, finding: Finding) -> None:
        """Something was found, and corrected; what is unknown was not."""
        self._findings.labels(finding.kind.lower()).inc()
        said = "inbox.unknown" if finding.kind is Kind.UNKNOWN else "inbox.corrected"
        log.warning(said, kind=finding.kind, subject=finding.subject, correction=finding.correction)

    def reconciled(self, findings: int, seconds: float) -> None:
        """A pass of this replica has ended."""
        self._passes.observe(seconds)
        if findings:
            log.info("inbox.reconciled", findings=findings, seconds=round(seconds, 3))

    def last_reconciled(self, at: datetime, *, here: bool) -> None:
        """When the last pass of any replica ended, and whether it was one of this replica."""
        self._reconciled.set(at.timestamp())
        self._leader.labels("reconciler").set(here)

    def partitions_missing(self, count: int) -> None:
        """So many days have no room for bodies."""
        self._partitions.set(count)

    def backlog(self, waiting: Mapping[State, tuple[int, timedelta]]) -> None:
        """So many events wait in each state, and so old is the oldest."""
        for state in State:
            if not state.ended:
                count, age = waiting.get(state, (0, timedelta()))
                self._waiting.labels(state.lower()).set(count)
                self._age.labels(state.lower()).set(age.total_seconds())
