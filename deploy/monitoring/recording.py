"""Recording rules: what alerts and dashboards share, and what is dear to compute on every look."""

from collections.abc import Mapping

from deploy.monitoring.routes import ASKED, QUICK

_REQUESTS = "lockgroove_http_requests_total"
_COUNT = "lockgroove_http_duration_seconds_count"
_DURATION = "lockgroove_http_duration_seconds_bucket"


def _quantile(share: float, metric: str, matchers: str, *labels: str) -> str:
    by = ", ".join(("le", *labels))
    return f"histogram_quantile({share:g}, sum by ({by}) (rate({metric}{{{matchers}}}[5m])))"


RECORDED: Mapping[str, str] = {
    "lockgroove:http_requests:increase5m": f"sum(increase({_REQUESTS}{{{ASKED}}}[5m]))",
    "lockgroove:http_errors:increase5m": (
        f'sum(increase({_REQUESTS}{{{ASKED},status=~"5.."}}[5m])) or 0 * sum(increase({_REQUESTS}{{{ASKED}}}[5m]))'
    ),
    "lockgroove:http_errors:ratio5m": "lockgroove:http_errors:increase5m / lockgroove:http_requests:increase5m",
    "lockgroove:http_quick_requests:increase5m": f"sum(increase({_COUNT}{{{QUICK}}}[5m]))",
    "lockgroove:http_duration_seconds:p50_5m": _quantile(0.5, _DURATION, QUICK),
    "lockgroove:http_duration_seconds:p95_5m": _quantile(0.95, _DURATION, QUICK),
    "lockgroove:http_duration_seconds:p99_5m": _quantile(0.99, _DURATION, QUICK),
    "lockgroove:http_duration_seconds:p95_5m_by_route": _quantile(0.95, _DURATION, QUICK, "route"),
    "lockgroove:rpc_duration_seconds:p95_5m_by_service": _quantile(
        0.95, "lockgroove_rpc_duration_seconds_bucket", 'method!~".+/(Watch|Wait|Test|Ingest).*"', "service"
    ),
    "lockgroove:suite_up:ratio5m": "min(avg_over_time(lockgroove_up[5m]))",
}
