"""What callers get, and what they are refused."""

from deploy.monitoring.dashboards.panel import Colour, Dashboard, Panel, Query, Row, by
from deploy.monitoring.routes import ASKED

_RISING = "0+1x90"
_LIMITED = {'lockgroove_rate_limited_total{service="gateway",limit="burst_limit"}': _RISING}
_ERRORS = {
    'lockgroove_http_requests_total{service="gateway",method="GET",route="/api/v1/events",status="503"}': _RISING
}
_REDIS = {
    f'lockgroove_redis_duration_seconds_bucket{{service="gateway",outcome="answered",le="{bound}"}}': _RISING
    for bound in ("0.01", "+Inf")
}
_STEPS = ((0.3, Colour.WARNING), (0.6, Colour.BAD))

_ANSWERS = Row(
    title="Answers",
    panels=(
        Panel(
            title="Requests",
            description="A second, by route; probes do not count.",
            queries=by(
                f"topk(15, sum by (method, route) (rate(lockgroove_http_requests_total{{{ASKED}}}[$__rate_interval])))",
                "{{method}} {{route}}",
            ),
            unit="reqps",
            stacked=True,
            traces="gateway",
            width=12,
        ),
        Panel(
            title="Statuses",
            description="A second.",
            queries=by(
                f"sum by (status) (rate(lockgroove_http_requests_total{{{ASKED}}}[$__rate_interval]))", "{{status}}"
            ),
            unit="reqps",
            stacked=True,
            traces="gateway",
            width=12,
        ),
        Panel(
            title="Answer time",
            description="Streams, waits and questions to others do not count.",
            queries=(
                Query(expression="lockgroove:http_duration_seconds:p50_5m", legend="p50"),
                Query(expression="lockgroove:http_duration_seconds:p95_5m", legend="p95"),
                Query(expression="lockgroove:http_duration_seconds:p99_5m", legend="p99"),
            ),
            unit="s",
            steps=_STEPS,
            alerts=("LockgrooveSlowRequests", "LockgrooveVerySlowRequests"),
            traces="gateway",
        ),
        Panel(
            title="The slowest routes",
            description="p95 within five minutes.",
            queries=by("topk(10, lockgroove:http_duration_seconds:p95_5m_by_route)", "{{route}}"),
            unit="s",
            steps=_STEPS,
            traces="gateway",
        ),
        Panel(
            title="Failed",
            description="The share of requests of five minutes that ended with 5xx.",
            queries=by("lockgroove:http_errors:ratio5m", "5xx"),
            unit="percentunit",
            steps=((0.005, Colour.WARNING), (0.01, Colour.BAD)),
            alerts=("LockgrooveServerErrors",),
            traces="gateway",
        ),
        Panel(
            title="Failed, by route",
            description="Requests within five minutes that ended with 5xx.",
            queries=by(
                f'sum by (route, status) (increase(lockgroove_http_requests_total{{{ASKED},status=~"5.."}}[5m]))',
                "{{status}} {{route}}",
                proof=_ERRORS,
            ),
            traces="gateway",
            width=12,
        ),
    ),
)

_LOAD = Row(
    title="Load and limits",
    panels=(
        Panel(
            title="Under way",
            description="Requests, streams and webhooks that are not answered yet; each lane has a limit of its own.",
            queries=by("sum by (lane) (lockgroove_gateway_requests_under_way)", "{{lane}}"),
        ),
        Panel(
            title="Refused: too many at once",
            description="Within five minutes, by lane.",
            queries=by("sum by (lane) (increase(lockgroove_gateway_requests_refused_total[5m]))", "{{lane}}"),
            alerts=("LockgrooveRequestsRefused",),
        ),
        Panel(
            title="Refused: too many of one caller",
            description="Within 15 minutes, by limit.",
            queries=by("sum by (limit) (increase(lockgroove_rate_limited_total[15m]))", "{{limit}}", proof=_LIMITED),
            alerts=("LockgrooveKeysGuessed",),
        ),
        Panel(
            title="Counting together",
            description="1 while replicas count in Redis, 0 where each counts for itself.",
            queries=by("min(lockgroove_rates_shared)", "together"),
            alerts=("LockgrooveRedisUnusable",),
        ),
        Panel(
            title="Round trips to Redis, p95",
            description="By how they ended; empty without Redis.",
            queries=by(
                "histogram_quantile(0.95, sum by (outcome, le)"
                " (rate(lockgroove_redis_duration_seconds_bucket[$__rate_interval])))",
                "{{outcome}}",
                proof=_REDIS,
            ),
            unit="s",
        ),
    ),
)

_BEHIND = Row(
    title="Behind it",
    panels=(
        Panel(
            title="Calls between services",
            description="A second, by service and how they ended.",
            queries=by(
                'sum by (service, code) (rate(lockgroove_rpc_requests_total{service=~"$service"}[$__rate_interval]))',
                "{{service}}: {{code}}",
            ),
            unit="reqps",
            alerts=("LockgrooveRpcErrors",),
        ),
        Panel(
            title="Their answer time, p95",
            description="By service, within five minutes; watches and waits do not count.",
            queries=by('lockgroove:rpc_duration_seconds:p95_5m_by_service{service=~"$service"}', "{{service}}"),
            unit="s",
        ),
    ),
)

GATEWAY = Dashboard(
    name="gateway",
    title="gateway",
    description="What callers get, and what they are refused.",
    rows=(_ANSWERS, _LOAD, _BEHIND),
)
