"""Whether those whom Lockgroove asks answer."""

from deploy.monitoring.alerts.alert import Alert, Case, Group, Severity

_BREAKERS = 'lockgroove_component_up{component=~"breaker:.+"}'
_LIDARR = 'lockgroove_component_up{service="acquisition",component="breaker:lidarr"}'
_BAD = "5..|429|timeout|error|unreadable|other"
_LASTFM = 'lockgroove_outbound_calls_total{service="acquisition",provider="lastfm",status="%s"}'
_RETRIED = 'lockgroove_outbound_retries_total{service="acquisition",provider="lastfm"}'
_RETRIES = "sum by (provider) (increase(lockgroove_outbound_retries_total[10m]))"
_CALLS = "sum by (provider) (increase(lockgroove_outbound_calls_total[10m]))"
_SLOW = 'lockgroove_outbound_call_duration_seconds_bucket{service="acquisition",provider="musicbrainz",le="%s"}'
_COUNT = 'lockgroove_outbound_call_duration_seconds_count{service="acquisition",provider="musicbrainz"}'
_WAIT = 'lockgroove_outbound_wait_seconds_total{service="acquisition",provider="musicbrainz"}'


def _share(calls: str, label: str) -> str:
    bad = f'sum by ({label}) (increase({calls}{{status=~"{_BAD}"}}[5m]))'
    return f"{bad} / sum by ({label}) (increase({calls}[5m]))"


PROVIDERS = Group(
    name="providers",
    alerts=(
        Alert(
            name="LockgrooveBreakerOpen",
            severity=Severity.WARNING,
            summary="A provider has been left alone for five minutes",
            description="{{ $labels.component }} has not been closed for five minutes: the provider keeps failing.",
            measured=f"max_over_time({_BREAKERS}[5m])",  # half open, it has no sample
            condition="== 0",
            minutes=2,
            fires=Case(
                minutes=9,
                series={_LIDARR: "1 0 0 _ 0 0 _ 0 0 0 0 0"},
                says="breaker:lidarr has not been closed for five minutes: the provider keeps failing.",
                labels={"service": "acquisition", "component": "breaker:lidarr"},
            ),
            quiet={_LIDARR: "1 0 0 _ 1 0 0 _ 0 0 0 0"},
        ),
        Alert(
            name="LockgrooveBreakerFlapping",
            severity=Severity.WARNING,
            summary="A provider comes and goes",
            description="{{ $labels.component }} changed {{ $value }} times within 15 minutes.",
            measured=f"changes({_BREAKERS}[15m])",
            condition="> 10",
            minutes=0,
            fires=Case(
                minutes=14,
                series={_LIDARR: "1 0 1 0 1 0 1 0 1 0 1 0 0 0 0 0 0"},
                says="breaker:lidarr changed 11 times within 15 minutes.",
                labels={"service": "acquisition", "component": "breaker:lidarr"},
            ),
            quiet={_LIDARR: "1 0 1 0 1 0 1 0 1 0 1 1 1 1 1 1 1"},
        ),
        Alert(
            name="LockgrooveProviderErrors",
            severity=Severity.WARNING,
            summary="A provider answers with errors",
            description="{{ $value | humanizePercentage }} of the calls to {{ $labels.provider }} failed in 5 min.",
            measured=_share("lockgroove_outbound_calls_total", "provider"),
            condition="> 0.1 and on (provider) sum by (provider) (increase(lockgroove_outbound_calls_total[5m])) >= 20",
            minutes=5,
            rare="a provider that never failed has no such calls",
            fires=Case(
                minutes=15,
                series={_LASTFM % "200": "0+8x20", _LASTFM % "503": "0+1x20", _LASTFM % "timeout": "0+1x20"},
                says="20% of the calls to lastfm failed in 5 min.",
                labels={"provider": "lastfm"},
            ),
            quiet={_LASTFM % "200": "0+8x20", _LASTFM % "404": "0+8x20", _LASTFM % "503": "0+1x20"},
        ),
        Alert(
            name="LockgrooveLidarrErrors",
            severity=Severity.WARNING,
            summary="Lidarr answers with errors",
            description="{{ $value | humanizePercentage }} of the calls to Lidarr failed in 5 min.",
            measured=_share("lockgroove_lidarr_api_calls_total", "service"),
            condition="> 0.1 and on (service) sum by (service) (increase(lockgroove_lidarr_api_calls_total[5m])) >= 20",
            minutes=5,
            rare="a Lidarr that never failed has no such calls",
            fires=Case(
                minutes=15,
                series={
                    'lockgroove_lidarr_api_calls_total{service="acquisition",endpoint="queue",status="200"}': "0+8x20",
                    'lockgroove_lidarr_api_calls_total{service="acquisition",endpoint="queue",status="500"}': "0+2x20",
                },
                says="20% of the calls to Lidarr failed in 5 min.",
                labels={"service": "acquisition"},
            ),
            quiet={  # of few, many
                'lockgroove_lidarr_api_calls_total{service="acquisition",endpoint="queue",status="200"}': "0+2x20",
                'lockgroove_lidarr_api_calls_total{service="acquisition",endpoint="queue",status="500"}': "0+1x20",
            },
        ),
        Alert(
            name="LockgrooveProviderRetries",
            severity=Severity.WARNING,
            summary="Many calls to a provider have to be repeated",
            description="{{ $value | humanizePercentage }} of the calls to {{ $labels.provider }} were repetitions.",
            measured=f"{_RETRIES} / {_CALLS}",
            condition=f"> 0.3 and on (provider) {_CALLS} >= 20",
            minutes=5,
            rare="a provider that never failed has no such calls",
            fires=Case(
                minutes=25,
                series={_RETRIED: "0+4x30", _LASTFM % "200": "0+6x30", _LASTFM % "503": "0+4x30"},
                says="40% of the calls to lastfm were repetitions.",
                labels={"provider": "lastfm"},
            ),
            quiet={_RETRIED: "0+3x30", _LASTFM % "200": "0+6x30", _LASTFM % "503": "0+4x30"},
        ),
        Alert(
            name="LockgrooveProviderSlow",
            severity=Severity.WARNING,
            summary="A provider answers slowly",
            description="A call in twenty to {{ $labels.provider }} takes over {{ $value | humanizeDuration }}.",
            measured=(
                "histogram_quantile(0.95, sum by (provider, le)"
                " (rate(lockgroove_outbound_call_duration_seconds_bucket[10m])))"
            ),
            condition=(
                "> 5 and on (provider) sum by (provider)"
                " (increase(lockgroove_outbound_call_duration_seconds_count[10m])) >= 20"
            ),
            minutes=5,
            rare="nobody asked a provider",
            fires=Case(
                minutes=25,
                series={_SLOW % "5": "0+8x30", _SLOW % "10": "0+10x30", _SLOW % "+Inf": "0+10x30", _COUNT: "0+10x30"},
                says="A call in twenty to musicbrainz takes over 8.75s.",
                labels={"provider": "musicbrainz"},
            ),
            quiet={_SLOW % "5": "0+9.6x30", _SLOW % "10": "0+10x30", _SLOW % "+Inf": "0+10x30", _COUNT: "0+10x30"},
        ),
        Alert(
            name="LockgrooveProviderQueue",
            severity=Severity.WARNING,
            summary="Calls queue up before a provider's limit",
            description="On average {{ $value | humanize }} calls wait for a turn at {{ $labels.provider }}.",
            measured="sum by (provider) (rate(lockgroove_outbound_wait_seconds_total[5m]))",
            condition="> 10",
            minutes=15,
            rare="nobody asked a provider",
            fires=Case(
                minutes=25,
                series={_WAIT: "0+720x30"},
                says="On average 12 calls wait for a turn at musicbrainz.",
                labels={"provider": "musicbrainz"},
            ),
            quiet={_WAIT: "0+600x30"},
        ),
    ),
)
