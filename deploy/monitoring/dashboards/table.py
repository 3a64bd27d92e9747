"""All dashboards, and their files."""

from collections.abc import Sequence
from pathlib import Path

from deploy.monitoring.dashboards.acquisition import ACQUISITION
from deploy.monitoring.dashboards.alerts import ALERTS_PAGE
from deploy.monitoring.dashboards.gateway import GATEWAY
from deploy.monitoring.dashboards.grafana import PREFIX, written
from deploy.monitoring.dashboards.overview import OVERVIEW
from deploy.monitoring.dashboards.panel import Dashboard, Query
from deploy.monitoring.dashboards.providers import PROVIDERS
from deploy.monitoring.dashboards.system import SYSTEM
from deploy.monitoring.dashboards.webhooks import WEBHOOKS

DASHBOARDS: Sequence[Dashboard] = (OVERVIEW, ACQUISITION, WEBHOOKS, PROVIDERS, GATEWAY, SYSTEM, ALERTS_PAGE)

QUERIES: Sequence[Query] = tuple(
    query for dashboard in DASHBOARDS for panel in dashboard.panels for query in panel.queries
)

_RUNBOOK = Path(__file__).parents[3] / "docs" / "alerts.md"


def dashboard_files() -> dict[Path, str]:
    """Below deploy/grafana/dashboards; the page of alerts shows docs/alerts.md."""
    return {
        Path(f"{PREFIX}{dashboard.name}.json"): written(
            dashboard, [_RUNBOOK.read_text()] if dashboard is ALERTS_PAGE else []
        )
        for dashboard in DASHBOARDS
    }
