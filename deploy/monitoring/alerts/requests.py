"""Whether callers get good answers in good time. No ratio counts below a traffic that can carry it."""

from deploy.monitoring.alerts.alert import Alert, Case, Group, Severity

_ROUTE = 'service="gateway",method="GET",route="/api/v1/events"'
_PROBE = 'lockgroove_http_requests_total{service="gateway",method="GET",route="/api/ready",status="503"}'
_FAULTS = 'lockgroove_rpc_requests_total{code=~"INTERNAL|UNKNOWN|DATA_LOSS"}'
_SLOW = 'lockgroove_http_duration_seconds_bucket{service="gateway",route="/api/v1/events",le="%s"}'
_COUNT = 'lockgroove_http_duration_seconds_count{service="gateway",route="/api/v1/events"}'
_BUSY = "and on () lockgroove:http_quick_requests:increase5m >= 50"


def _durations(quick: str, slow: str, total: str) -> dict[str, str]:
    """So many requests below 0.25 s and 0.5 s, and all of them."""
    return {_SLOW % "0.25": quick, _SLOW % "0.5": slow, _SLOW % "+Inf": total, _COUNT: total}


REQUESTS = Group(
    name="requests",
    alerts=(
        Alert(
            name="LockgrooveServerErrors",
            severity=Severity.CRITICAL,
            summary="More than 1 % of the requests fail on Lockgroove's side",
            description="{{ $value | humanizePercentage }} of the requests of the last five minutes ended with 5xx.",
            measured="lockgroove:http_errors:ratio5m",
            condition="> 0.01 and on () lockgroove:http_errors:increase5m >= 5",
            minutes=5,
            fires=Case(
                minutes=15,
                series={
                    f'lockgroove_http_requests_total{{{_ROUTE},status="200"}}': "0+98x30",
                    f'lockgroove_http_requests_total{{{_ROUTE},status="503"}}': "0+2x30",
                },
                says="2% of the requests of the last five minutes ended with 5xx.",
            ),
            quiet={  # 1 % is not more than 1 %, half of a few is few, and a probe that hears 503 is no request
                f'lockgroove_http_requests_total{{{_ROUTE},status="200"}}': "0+396x30",
                f'lockgroove_http_requests_total{{{_ROUTE},status="503"}}': "0+4x30",
                _PROBE: "0+9x30",
            },
        ),
        Alert(
            name="LockgrooveSlowRequests",
            severity=Severity.WARNING,
            summary="Lockgroove answers slowly",
            description="One request in twenty takes longer than {{ $value | humanizeDuration }}; 300 ms is the aim.",
            measured="lockgroove:http_duration_seconds:p95_5m",
            condition=f"> 0.3 {_BUSY}",
            minutes=5,
            fires=Case(
                minutes=15,
                series=_durations("0+90x30", "0+100x30", "0+100x30"),
                says="One request in twenty takes longer than 375ms; 300 ms is the aim.",
            ),
            quiet=_durations("0+96x30", "0+100x30", "0+100x30"),
        ),
        Alert(
            name="LockgrooveVerySlowRequests",
            severity=Severity.CRITICAL,
            summary="Some of Lockgroove's answers take seconds",
            description="One request in a hundred takes longer than {{ $value | humanizeDuration }}; 2 s is the limit.",
            measured="lockgroove:http_duration_seconds:p99_5m",
            condition=f"> 2 {_BUSY}",
            minutes=5,
            fires=Case(
                minutes=15,
                series={
                    _SLOW % "1": "0+95x30",
                    _SLOW % "5": "0+100x30",
                    _SLOW % "+Inf": "0+100x30",
                    _COUNT: "0+100x30",
                },
                says="One request in a hundred takes longer than 4.2s; 2 s is the limit.",
            ),
            quiet={
                _SLOW % "1": "0+9x30",
                _SLOW % "5": "0+9.5x30",
                _SLOW % "+Inf": "0+9.5x30",
                _COUNT: "0+9.5x30",  # slow, but 48 in five minutes
            },
        ),
        Alert(
            name="LockgrooveRpcErrors",
            severity=Severity.WARNING,
            summary="A service of Lockgroove fails from within",
            description="{{ $value | humanize }} calls to {{ $labels.service }} ended with its own fault in 10 min.",
            measured=f"sum by (service) (increase({_FAULTS}[10m]))",
            condition="> 5",
            minutes=0,
            rare="no call ends with a fault of ours",
            fires=Case(
                minutes=15,
                series={'lockgroove_rpc_requests_total{service="config",method="a/B",code="INTERNAL"}': "0+0.6x20"},
                says="6 calls to config ended with its own fault in 10 min.",
                labels={"service": "config"},
            ),
            quiet={
                'lockgroove_rpc_requests_total{service="config",method="a/B",code="INTERNAL"}': "0+0.5x20",
                'lockgroove_rpc_requests_total{service="config",method="a/B",code="NOT_FOUND"}': "0+50x20",
            },
        ),
        Alert(
            name="LockgrooveRequestsRefused",
            severity=Severity.WARNING,
            summary="Lockgroove refuses requests because too many are under way",
            description="{{ $value | humanize }} {{ $labels.lane }} were refused within five minutes.",
            measured="sum by (lane) (increase(lockgroove_gateway_requests_refused_total[5m]))",
            condition="> 10",
            minutes=5,
            fires=Case(
                minutes=12,
                series={'lockgroove_gateway_requests_refused_total{service="gateway",lane="webhooks"}': "0+3x20"},
                says="15 webhooks were refused within five minutes.",
                labels={"lane": "webhooks"},
            ),
            quiet={'lockgroove_gateway_requests_refused_total{service="gateway",lane="webhooks"}': "0+2x20"},
        ),
        Alert(
            name="LockgrooveKeysGuessed",
            severity=Severity.WARNING,
            summary="Somebody tries credentials",
            description="{{ $value | humanize }} attempts were refused in 15 minutes: too many wrong credentials.",
            measured='sum(increase(lockgroove_rate_limited_total{limit="failed_attempts"}[15m]))',
            condition="> 20",
            minutes=0,
            rare="nobody guesses",
            fires=Case(
                minutes=20,
                series={'lockgroove_rate_limited_total{service="gateway",limit="failed_attempts"}': "0+2x30"},
                says="30 attempts were refused in 15 minutes: too many wrong credentials.",
            ),
            quiet={
                'lockgroove_rate_limited_total{service="gateway",limit="failed_attempts"}': "0+1x30",
                'lockgroove_rate_limited_total{service="gateway",limit="burst_limit"}': "0+9x30",
            },
        ),
        Alert(
            name="LockgrooveRedisUnusable",
            severity=Severity.WARNING,
            summary="Replicas of the gateway count apart",
            description="Redis does not answer the gateway: each replica counts limits for itself.",
            measured='lockgroove_component_up{component="redis"}',
            condition="< 1",
            minutes=5,
            rare="the suite of the test has no Redis",
            fires=Case(
                minutes=6,
                series={'lockgroove_component_up{service="gateway",component="redis"}': "0.5x10"},
                says="Redis does not answer the gateway: each replica counts limits for itself.",
                labels={"service": "gateway", "component": "redis"},
            ),
            quiet={'lockgroove_component_up{service="gateway",component="redis"}': "0x4 1x10"},
        ),
    ),
)
