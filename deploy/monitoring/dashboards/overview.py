"""Whether all is well, on one page."""

from deploy.monitoring.dashboards.panel import Colour, Dashboard, Kind, Panel, Query, Row, by

UP_OR_DOWN = {0: ("down", Colour.BAD), 0.5: ("degraded", Colour.WARNING), 1: ("up", Colour.GOOD)}
_SHARE = ((0.99, Colour.WARNING), (0.999, Colour.GOOD))

_NOW = Row(
    title="Now",
    panels=(
        Panel(
            title="Services",
            description="Whether the gateway reached each service when it was asked last.",
            queries=by("min by (service) (lockgroove_up)", "{{service}}"),
            kind=Kind.NUMBER,
            names=UP_OR_DOWN,
            alerts=("LockgrooveServiceDown", "LockgrooveUptimeLow"),
        ),
        Panel(
            title="Kill switch",
            description="While it is on, nothing is acquired. It is on as well while nobody can say how it stands.",
            queries=by("max(lockgroove_kill_switch)"),
            kind=Kind.NUMBER,
            names={0: ("off", Colour.GOOD), 1: ("on", Colour.BAD)},
            alerts=("LockgrooveKillSwitchOn",),
            width=4,
        ),
        Panel(
            title="Availability, 30 days",
            description="The share of the time in which the service was reached; 99.9 % is the aim.",
            queries=by("min(avg_over_time(lockgroove_up[30d]))"),
            unit="percentunit",
            kind=Kind.NUMBER,
            base=Colour.BAD,
            steps=_SHARE,
            width=4,
        ),
        Panel(
            title="Requests that failed",
            description="The share of requests of the last five minutes that ended with 5xx; probes do not count.",
            queries=by("lockgroove:http_errors:ratio5m"),
            unit="percentunit",
            kind=Kind.NUMBER,
            steps=((0.005, Colour.WARNING), (0.01, Colour.BAD)),
            alerts=("LockgrooveServerErrors",),
            traces="gateway",
            width=4,
        ),
        Panel(
            title="Answer time, p95",
            description="One request in twenty took longer, within five minutes; streams and waits do not count.",
            queries=by("lockgroove:http_duration_seconds:p95_5m"),
            unit="s",
            kind=Kind.NUMBER,
            steps=((0.3, Colour.WARNING), (0.6, Colour.BAD)),
            alerts=("LockgrooveSlowRequests",),
            traces="gateway",
            width=4,
        ),
    ),
)

_COURSE = Row(
    title="In the course of time",
    panels=(
        Panel(
            title="Components",
            description="What each service depends on. Nothing is drawn for what is not set up.",
            queries=by('lockgroove_component_up{service=~"$service"}', "{{service}}: {{component}}"),
            kind=Kind.STATES,
            names=UP_OR_DOWN,
            alerts=("LockgrooveDatabaseDown", "LockgrooveComponentDown"),
            width=24,
        ),
        Panel(
            title="Requests",
            description="By the first digit of their status.",
            queries=by(
                "sum by (class) (label_replace(rate(lockgroove_http_requests_total[$__rate_interval]),"
                ' "class", "${1}xx", "status", "(.).."))',
                "{{class}}",
            ),
            unit="reqps",
            stacked=True,
            traces="gateway",
        ),
        Panel(
            title="Acquisitions that ended",
            description="Within an hour, by how they ended.",
            queries=by("sum by (status) (increase(lockgroove_download_jobs_total[1h]))", "{{status}}"),
            alerts=("LockgrooveAcquisitionsFailing",),
            traces="acquisition",
        ),
        Panel(
            title="Oldest work that is due",
            description="How long the most overdue acquisition and webhook event have been due.",
            queries=(
                Query(expression="max(lockgroove_acquisition_backlog_age_seconds)", legend="acquisition"),
                Query(expression="max(lockgroove_webhook_backlog_age_seconds)", legend="webhook event"),
            ),
            unit="s",
            steps=((600, Colour.WARNING),),
            alerts=("LockgrooveAcquisitionBacklogOld", "LockgrooveWebhookBacklogOld"),
        ),
        Panel(
            title="Dead letters",
            description="Webhook events that were given up and wait for somebody's decision.",
            queries=by("sum(max by (reason) (lockgroove_webhook_dead_letters))", "dead letters"),
            steps=((100, Colour.WARNING), (500, Colour.BAD)),
            alerts=("LockgrooveDeadLetters", "LockgrooveDeadLettersMany"),
        ),
        Panel(
            title="Memory",
            description="What each process holds.",
            queries=by('process_resident_memory_bytes{service=~"$service"}', "{{service}}"),
            unit="bytes",
            stacked=True,
            alerts=("LockgrooveMemoryHigh",),
        ),
        Panel(
            title="Versions",
            description="How many processes run each version; two while an update is under way.",
            queries=by("count by (version) (lockgroove_build_info)", "{{version}}"),
        ),
    ),
)

OVERVIEW = Dashboard(
    name="overview", title="overview", description="Whether all is well, on one page.", rows=(_NOW, _COURSE)
)
