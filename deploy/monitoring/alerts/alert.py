"""What an alert is: an expression with a threshold, words for who is woken, and the proof that it fires."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

Series = Mapping[str, str]  # samples of each series, a minute apart, in promtool's notation


class Severity(StrEnum):
    """Whom it concerns, and when."""

    CRITICAL = "critical"  # now: people notice it, or something is about to be lost
    WARNING = "warning"  # today


def grown(series: str, window: str) -> str:
    """How much counters grew, with the first time of one that was not there before: `increase` does not see that."""
    return f"({series} unless {series} offset {window} or increase({series}[{window}]))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Series that make the alert fire after so many minutes, once; `says` is its description then."""

    minutes: int
    series: Series
    says: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """`measured` has data while all is well, unless `rare` says why it has none; `condition` is what makes it an alert.

    `quiet` are the series just below the threshold; they are looked at after as many minutes as those of `fires`.
    """

    name: str
    severity: Severity
    summary: str
    description: str
    measured: str
    condition: str
    minutes: int
    fires: Case
    quiet: Series
    rare: str = ""

    @property
    def expression(self) -> str:
        """What Prometheus evaluates."""
        return f"{self.measured} {self.condition}".strip()

    @property
    def anchor(self) -> str:
        """Of its section in docs/alerts.md."""
        return self.name.lower()

    @property
    def holds(self) -> str:
        """When it fires, in words."""
        return (
            f"{self.severity}, once it has held for {self.minutes} min" if self.minutes else f"{self.severity}, at once"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Alerts about the same; the group of rules and the files are named after it."""

    name: str
    alerts: Sequence[Alert]
