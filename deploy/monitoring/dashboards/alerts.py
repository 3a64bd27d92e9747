"""What fires now, and what to do about it: the runbook beside the pictures, without the internet."""

from deploy.monitoring.dashboards.panel import Dashboard, Kind, Panel, Row, by

_FIRING = 'ALERTS{alertname="LockgrooveBackupOld",alertstate="firing",severity="warning"}'

ALERTS_PAGE = Dashboard(
    name="alerts",
    title="alerts and what to do",
    description="What fires now, and what to do about it.",
    rows=(
        Row(
            title="Firing",
            panels=(
                Panel(
                    title="Firing now",
                    description="Alerts of Lockgroove; empty is good.",
                    queries=by(
                        'sum by (alertname, severity, service) (ALERTS{alertname=~"Lockgroove.+",alertstate="firing"})',
                        proof={_FIRING: "1x90"},
                    ),
                    kind=Kind.TABLE,
                    width=24,
                ),
            ),
        ),
    ),
)
