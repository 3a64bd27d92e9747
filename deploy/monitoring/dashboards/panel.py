"""What a dashboard is made of, without anything of Grafana's format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from deploy.monitoring.alerts.alert import Series


class Kind(StrEnum):
    """How a panel shows its series, as Grafana names it."""

    LINES = "timeseries"
    NUMBER = "stat"
    STATES = "state-timeline"
    BARS = "bargauge"
    TABLE = "table"


class Colour(StrEnum):
    """Of a threshold, or of a value with a name."""

    GOOD = "green"
    WARNING = "orange"
    BAD = "red"
    PLAIN = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Something to draw. `proof` are series that make it return data, where a healthy suite has none to show."""

    expression: str
    legend: str = ""
    proof: Series = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture. `steps` are the values from which on it is of another colour, `names` what values are called.

    `traces` is the service whose traces tell more.
    """

    title: str
    description: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: Kind = Kind.LINES
    steps: Sequence[tuple[float, Colour]] = ()
    names: Mapping[float, tuple[str, Colour]] = field(default_factory=dict)
    base: Colour = Colour.GOOD
    alerts: Sequence[str] = ()
    traces: str = ""
    stacked: bool = False
    width: int = 8  # of 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels below a heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One page; its file is named after it."""

    name: str
    title: str
    description: str
    rows: Sequence[Row]

    @property
    def panels(self) -> Sequence[Panel]:
        """All panels, from the top."""
        return [panel for row in self.rows for panel in row.panels]


def standing_alone(expression: str) -> str:
    """An expression without what Grafana fills in."""
    return expression.replace("$__rate_interval", "5m").replace("$service", ".+")


def by(expression: str, legend: str = "", *, proof: Series | None = None) -> Sequence[Query]:
    """One query."""
    return (Query(expression=expression, legend=legend, proof=proof or {}),)


def quantiles(metric: str, *, proof: Series | None = None) -> Sequence[Query]:
    """The durations that half, 95 and 99 of a hundred stay below."""
    rate = f"sum by (le) (rate({metric}_bucket[$__rate_interval]))"
    return [
        Query(expression=f"histogram_quantile({share}, {rate})", legend=legend, proof=proof or {})
        for share, legend in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    ]
