"""The files of rules that Prometheus reads, and the tests that promtool runs on them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from deploy.monitoring.alerts.alert import Alert, Case, Group, Series
from deploy.monitoring.alerts.table import GROUPS
from deploy.monitoring.dashboards.panel import Query, standing_alone
from deploy.monitoring.recording import RECORDED

Document = Mapping[str, Any]

_HEAD = "# Made by `python -m deploy.monitoring`; do not edit.\n"
_RECORDING = "lockgroove-recording"
_DOCS = "docs/alerts.md"


def rule_files() -> dict[Path, str]:
    """Below deploy/prometheus: what Prometheus evaluates, and what promtool tests."""
    files = {Path("rules/recording.yml"): _rules(_RECORDING, (_recorded(*one) for one in RECORDED.items()))}
    for group in GROUPS:
        files[Path(f"rules/{group.name}.yml")] = _rules(f"lockgroove-{group.name}", map(_rule, group.alerts))
        files[Path(f"tests/{group.name}.yml")] = _written(_tests(group))
    return files


def panel_tests(queries: Iterable[Query]) -> str:
    """The tests that queries return data which a healthy suite has none for."""
    proved = [_proof(query) for query in queries if query.proof]
    return _written({"rule_files": [], "evaluation_interval": "1m", "tests": proved})


def _rules(name: str, rules: Iterable[Document]) -> str:
    return _written({"groups": [{"name": name, "rules": list(rules)}]})


def _recorded(name: str, expression: str) -> Document:
    return {"record": name, "expr": expression}


def _rule(alert: Alert) -> Document:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        **({"for": f"{alert.minutes}m"} if alert.minutes else {}),
        "labels": {"severity": str(alert.severity)},
        "annotations": _annotations(alert, alert.description),
    }


def _annotations(alert: Alert, description: str) -> Document:
    return {"summary": alert.summary, "description": description, "runbook_url": f"{_DOCS}#{alert.anchor}"}


def _tests(group: Group) -> Document:
    return {
        "rule_files": ["../rules/recording.yml", f"../rules/{group.name}.yml"],
        "evaluation_interval": "1m",
        "group_eval_order": [_RECORDING, f"lockgroove-{group.name}"],
        "tests": [test for alert in group.alerts for test in _tests_of(alert)],
    }


def _tests_of(alert: Alert) -> Iterable[Document]:
    case = alert.fires
    yield _test(f"{alert.name} fires", alert, case.series, [_expected(alert, case)])
    yield _test(f"{alert.name} stays quiet just below", alert, alert.quiet, [])


def _expected(alert: Alert, case: Case) -> Document:
    labels = {"severity": str(alert.severity), **case.labels}
    return {"exp_labels": labels, "exp_annotations": _annotations(alert, case.says)}


def _test(name: str, alert: Alert, series: Series, expected: Sequence[Document]) -> Document:
    return {
        "name": name,
        **_series(series),
        "alert_rule_test": [
            {"eval_time": f"{alert.fires.minutes}m", "alertname": alert.name, "exp_alerts": list(expected)}
        ],
    }


def _proof(query: Query) -> Document:
    expected = [{"labels": "{}", "value": 1}]
    counted = f"count({standing_alone(query.expression)}) > bool 0"
    return {
        "name": query.expression,
        **_series(query.proof),
        "promql_expr_test": [{"expr": counted, "eval_time": "60m", "exp_samples": expected}],
    }


def _series(series: Series) -> Document:
    return {"interval": "1m", "input_series": [{"series": one, "values": values} for one, values in series.items()]}


def _written(document: Document) -> str:
    return _HEAD + yaml.safe_dump(document, sort_keys=False, width=1000, allow_unicode=True)
