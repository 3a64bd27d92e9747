"""Every metric of the suite, as what is built on them (dashboards, alerts, the reference) may rely on it.

It is recorded from the code by `python -m deploy.monitoring.metrics_reference`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

RECORDED = Path(__file__).with_name("metrics.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """`labels` are those that the service sets; `/api/metrics` adds `service`, of which the values are `services`."""

    type: str
    labels: tuple[str, ...]
    help: str
    services: tuple[str, ...]

    @property
    def all_labels(self) -> tuple[str, ...]:
        """The labels in `/api/metrics`."""
        return ("service", *self.labels)


def catalogue() -> dict[str, Metric]:
    """Every metric by its name: a counter's with its `_total`, a histogram's without `_bucket`, `_sum` and `_count`."""
    recorded = json.loads(RECORDED.read_text())
    return {name: Metric(**{**one, **_tuples(one)}) for name, one in recorded.items()}


def record(metrics: Mapping[str, Metric]) -> str:
    """The text of the record."""
    return json.dumps({name: asdict(metrics[name]) for name in sorted(metrics)}, indent=1) + "\n"


def _tuples(one: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(one[name]) for name in ("labels", "services")}
