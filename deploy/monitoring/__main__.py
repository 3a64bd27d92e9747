"""Writes what is made from deploy/monitoring: rules and tests for Prometheus, dashboards for Grafana."""

from pathlib import Path

from deploy.monitoring.dashboards.table import QUERIES, dashboard_files
from deploy.monitoring.rules import panel_tests, rule_files

ROOT = Path(__file__).parents[2]


def made() -> dict[Path, str]:
    """All files that are made, with their text."""
    prometheus, grafana = ROOT / "deploy" / "prometheus", ROOT / "deploy" / "grafana" / "dashboards"
    rules = {prometheus / path: text for path, text in rule_files().items()}
    rules[prometheus / "tests" / "panels.yml"] = panel_tests(QUERIES)
    return {**rules, **{grafana / path: text for path, text in dashboard_files().items()}}


def main() -> None:
    """Write them."""
    for path, text in made().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
