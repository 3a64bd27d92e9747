"""Those whom Lockgroove asks, and what protects both sides: breakers, limits, retries, caches."""

from deploy.monitoring.dashboards.panel import Colour, Dashboard, Kind, Panel, Query, Row, by, quantiles

_RISING = "0+1x90"
_PROVIDER = 'service="acquisition",provider="musicbrainz"'
_CALLS = {f'lockgroove_outbound_calls_total{{{_PROVIDER},status="200"}}': _RISING}
_WAITS = {f"lockgroove_outbound_wait_seconds_total{{{_PROVIDER}}}": _RISING}
_SECONDS = {
    f'lockgroove_outbound_call_duration_seconds_bucket{{{_PROVIDER},le="1"}}': _RISING,
    f'lockgroove_outbound_call_duration_seconds_bucket{{{_PROVIDER},le="+Inf"}}': _RISING,
}
_TURN_WAITS = {
    f'lockgroove_outbound_turn_wait_seconds_bucket{{{_PROVIDER},le="{bound}"}}': _RISING for bound in ("1", "+Inf")
}
_TURNS = {f'lockgroove_outbound_turns_total{{{_PROVIDER},outcome="granted"}}': _RISING}
_RETRIED = {
    f"lockgroove_outbound_retries_total{{{_PROVIDER}}}": _RISING,
    f'lockgroove_outbound_retried_questions_total{{{_PROVIDER},outcome="answered"}}': _RISING,
}
_RETRIES = "sum by (provider) (increase(lockgroove_outbound_retries_total[10m]))"
_QUESTIONS = "sum by (provider, outcome) (increase(lockgroove_outbound_retried_questions_total[10m]))"
_OPENINGS = {f'lockgroove_outbound_circuit_changes_total{{{_PROVIDER},circuit="open"}}': _RISING}
_FAILED = {f'lockgroove_outbound_calls_total{{{_PROVIDER},status="503"}}': _RISING, **_CALLS}
_CACHE = 'service="acquisition",cache_name="musicbrainz"'
_LOOKS = {f"lockgroove_cache_{end}_total{{{_CACHE}}}": _RISING for end in ("hits", "misses")}
_OPERATIONS = {f'lockgroove_cache_operations_total{{{_CACHE},operation="get"}}': _RISING}
_REFRESHES = {'lockgroove_oauth_refreshes_total{service="config",provider="spotify",outcome="refreshed"}': _RISING}
_BAD = 'status=~"5..|429|timeout|error|unreadable|other"'
_LIDARR_BAD = {
    'lockgroove_lidarr_api_calls_total{service="acquisition",endpoint="queue",status="500"}': _RISING,
}
_BREAKER = 'lockgroove_component_up{component=~"breaker:.+"}'
_HITS = "sum by (cache_name) (increase(lockgroove_cache_hits_total[10m]))"
_MISSES = "sum by (cache_name) (increase(lockgroove_cache_misses_total[10m]))"

_CALLING = Row(
    title="Calls",
    panels=(
        Panel(
            title="Calls to providers",
            description="A second, by provider.",
            queries=by(
                "sum by (provider) (rate(lockgroove_outbound_calls_total[$__rate_interval]))",
                "{{provider}}",
                proof=_CALLS,
            ),
            unit="reqps",
        ),
        Panel(
            title="Calls that failed",
            description="The share of calls within five minutes; what is not found is no failure.",
            queries=by(
                f"sum by (provider) (increase(lockgroove_outbound_calls_total{{{_BAD}}}[5m]))"
                " / sum by (provider) (increase(lockgroove_outbound_calls_total[5m]))",
                "{{provider}}",
                proof=_FAILED,
            ),
            unit="percentunit",
            steps=((0.1, Colour.WARNING), (0.5, Colour.BAD)),
            alerts=("LockgrooveProviderErrors",),
        ),
        Panel(
            title="Answer time of providers, p95",
            description="By provider.",
            queries=by(
                "histogram_quantile(0.95, sum by (provider, le)"
                " (rate(lockgroove_outbound_call_duration_seconds_bucket[$__rate_interval])))",
                "{{provider}}",
                proof=_SECONDS,
            ),
            unit="s",
            steps=((5, Colour.WARNING),),
            alerts=("LockgrooveProviderSlow",),
        ),
        Panel(
            title="Calls to Lidarr",
            description="A second, by status.",
            queries=by("sum by (status) (rate(lockgroove_lidarr_api_calls_total[$__rate_interval]))", "{{status}}"),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            title="Calls to Lidarr that failed",
            description="Within five minutes, by endpoint.",
            queries=by(
                f"sum by (endpoint) (increase(lockgroove_lidarr_api_calls_total{{{_BAD}}}[5m]))",
                "{{endpoint}}",
                proof=_LIDARR_BAD,
            ),
            alerts=("LockgrooveLidarrErrors",),
        ),
        Panel(
            title="Answer time of Lidarr",
            description="All endpoints.",
            queries=quantiles("lockgroove_lidarr_api_duration_seconds"),
            unit="s",
        ),
    ),
)

_RESILIENCE = Row(
    title="Breakers and limits",
    panels=(
        Panel(
            title="Breakers",
            description="Open: the provider failed several times in a row and is left alone. A gap: half open.",
            queries=by(_BREAKER, "{{component}}"),
            kind=Kind.STATES,
            names={0: ("open", Colour.BAD), 1: ("closed", Colour.GOOD)},
            alerts=("LockgrooveBreakerOpen",),
            width=12,
        ),
        Panel(
            title="Circuits of providers",
            description="As each process has them.",
            queries=by("max by (provider) (lockgroove_outbound_circuit)", "{{provider}}"),
            kind=Kind.STATES,
            names={0: ("closed", Colour.GOOD), 1: ("half open", Colour.WARNING), 2: ("open", Colour.BAD)},
            width=12,
        ),
        Panel(
            title="Changes of breakers",
            description="Within 15 minutes.",
            queries=by(f"changes({_BREAKER}[15m])", "{{component}}"),
            steps=((10, Colour.WARNING),),
            alerts=("LockgrooveBreakerFlapping",),
        ),
        Panel(
            title="Calls that wait for their turn",
            description="On average, by provider: each is asked no quicker than it allows.",
            queries=by(
                "sum by (provider) (rate(lockgroove_outbound_wait_seconds_total[$__rate_interval]))",
                "{{provider}}",
                proof=_WAITS,
            ),
            steps=((10, Colour.WARNING),),
            alerts=("LockgrooveProviderQueue",),
        ),
        Panel(
            title="Wait of a call, p95",
            description="Until it was its turn, by provider.",
            queries=by(
                "histogram_quantile(0.95, sum by (provider, le)"
                " (rate(lockgroove_outbound_turn_wait_seconds_bucket[$__rate_interval])))",
                "{{provider}}",
                proof=_TURN_WAITS,
            ),
            unit="s",
        ),
        Panel(
            title="Turns",
            description="Granted, or refused as too far away, within five minutes.",
            queries=by(
                "sum by (provider, outcome) (increase(lockgroove_outbound_turns_total[5m]))",
                "{{provider}}: {{outcome}}",
                proof=_TURNS,
            ),
        ),
        Panel(
            title="Retries",
            description="Calls within ten minutes that repeat one that failed, and what came of their questions.",
            queries=(
                Query(expression=_RETRIES, legend="{{provider}}: calls", proof=_RETRIED),
                Query(expression=_QUESTIONS, legend="{{provider}}: {{outcome}}", proof=_RETRIED),
            ),
            alerts=("LockgrooveProviderRetries",),
        ),
        Panel(
            title="Openings of breakers",
            description="Within an hour, by provider.",
            queries=by(
                'sum by (provider) (increase(lockgroove_outbound_circuit_changes_total{circuit="open"}[1h]))',
                "{{provider}}",
                proof=_OPENINGS,
            ),
        ),
    ),
)

_CACHES = Row(
    title="Caches and accounts",
    panels=(
        Panel(
            title="Cache hits",
            description="The share of looks within ten minutes that found something; low after a start.",
            queries=by(f"{_HITS} / ({_HITS} + {_MISSES})", "{{cache_name}}", proof=_LOOKS),
            unit="percentunit",
        ),
        Panel(
            title="Hits and misses",
            description="Within ten minutes, by cache.",
            queries=(
                Query(expression=_HITS, legend="{{cache_name}}: hits", proof=_LOOKS),
                Query(expression=_MISSES, legend="{{cache_name}}: misses", proof=_LOOKS),
            ),
        ),
        Panel(
            title="Uses of caches",
            description="A second, by cache and operation.",
            queries=by(
                "sum by (cache_name, operation) (rate(lockgroove_cache_operations_total[$__rate_interval]))",
                "{{cache_name}}: {{operation}}",
                proof=_OPERATIONS,
            ),
        ),
        Panel(
            title="Accounts at providers",
            description="By how their tokens stand.",
            queries=by("max by (provider, status) (lockgroove_oauth_tokens)", "{{provider}}: {{status}}"),
            alerts=("LockgrooveAccountsLost",),
        ),
        Panel(
            title="Refreshes of tokens",
            description="Within an hour, by how they ended.",
            queries=by(
                "sum by (provider, outcome) (increase(lockgroove_oauth_refreshes_total[1h]))",
                "{{provider}}: {{outcome}}",
                proof=_REFRESHES,
            ),
            alerts=("LockgrooveRefreshesFailing",),
        ),
    ),
)

PROVIDERS = Dashboard(
    name="providers",
    title="providers and resilience",
    description="Those whom Lockgroove asks, and what protects both sides: breakers, limits, caches.",
    rows=(_CALLING, _RESILIENCE, _CACHES),
)
