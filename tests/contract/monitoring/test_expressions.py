"""Every expression reads series that the code emits, by labels that they have. No Prometheus is needed."""

import re
from collections.abc import Iterator

import pytest

from deploy.monitoring.alerts.alert import Series
from deploy.monitoring.alerts.table import ALERTS
from deploy.monitoring.catalogue import catalogue
from deploy.monitoring.dashboards.panel import standing_alone
from deploy.monitoring.dashboards.table import QUERIES
from deploy.monitoring.promql import grouped, selectors
from deploy.monitoring.recording import RECORDED

OF_PROMETHEUS = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate", "severity", "service"}}
OF_TARGETS = {"job", "instance"}
MADE_HERE = {"class"}  # by label_replace


def known() -> dict[str, set[str]]:
    """The labels of every series."""
    found = dict(OF_PROMETHEUS)
    for name, metric in catalogue().items():
        labels = {*metric.all_labels, *OF_TARGETS}
        if metric.type == "histogram":
            found |= {f"{name}_sum": labels, f"{name}_count": labels, f"{name}_bucket": labels | {"le"}}
        else:
            found[name] = labels
    return found | {name: grouped(expression) - {"le"} for name, expression in RECORDED.items()}


def expressions() -> Iterator[str]:
    yield from RECORDED.values()
    yield from (alert.expression for alert in ALERTS)
    yield from (standing_alone(query.expression) for query in QUERIES)


def test_every_series_is_emitted_and_has_the_labels_that_are_matched() -> None:
    labels = known()
    unknown = {name for expression in expressions() for name, _ in selectors(expression) if name not in labels}
    assert unknown == set()

    read = [one for expression in expressions() for one in selectors(expression)]
    assert [(name, matched) for name, matched in read if not matched <= labels[name]] == []


def test_every_label_that_is_grouped_by_exists() -> None:
    labels = known()

    for expression in expressions():
        there = set().union(*(labels[name] for name, _ in selectors(expression)), MADE_HERE)
        assert grouped(expression) <= there, expression


def proofs() -> Iterator[Series]:
    for alert in ALERTS:
        yield from (alert.fires.series, alert.quiet)
    yield from (query.proof for query in QUERIES)


def test_series_of_proofs_are_as_they_are_emitted() -> None:
    labels = known()

    for series in (one for proof in proofs() for one in proof):
        ((name, matched),) = selectors(series)
        assert matched <= labels[name], series


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ('sum by (a) (rate(x_total{b="c{d}",e!~"f"}[5m])) > 3', [("x_total", {"b", "e"})]),
        ("time() - max(x) and on () y:z > 1e3 unless bool", [("x", set()), ("y:z", set())]),
        ("histogram_quantile(0.95, sum by (le) (rate(x_bucket[5m])))", [("x_bucket", set())]),
        ("event_total", [("event_total", set())]),
    ],
)
def test_names_are_told_from_words(expression: str, found: list[tuple[str, set[str]]]) -> None:
    assert list(selectors(expression)) == found


def test_no_alert_on_a_share_counts_a_handful() -> None:
    ratios = [alert for alert in ALERTS if re.search(r"_total.*/ |ratio5m|p9\d", alert.measured)]

    assert len(ratios) >= 5
    assert [alert.name for alert in ratios if ">=" not in alert.condition] == []
