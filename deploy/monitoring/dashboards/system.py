"""Processes, databases, secrets, backups and room."""

from deploy.monitoring.dashboards.overview import UP_OR_DOWN
from deploy.monitoring.dashboards.panel import Colour, Dashboard, Kind, Panel, Row, by

_ENDS = 'lockgroove_tls_certificate_expiry_timestamp_seconds{service="gateway"}'

_BACKUP = 'lockgroove_backup_last_success_timestamp_seconds{service="config"}'
_SIZE = 'lockgroove_backup_size_bytes{service="config"}'
_CLEANUPS = {
    f'lockgroove_cleanup_duration_seconds_bucket{{service="config",le="{bound}"}}': "0+1x90" for bound in ("1", "+Inf")
}


def _p95(metric: str, labels: str) -> str:
    rate = f'rate({metric}_bucket{{service=~"$service"}}[$__rate_interval])'
    return f"histogram_quantile(0.95, sum by ({labels}, le) ({rate}))"


_PROCESSES = Row(
    title="Processes",
    panels=(
        Panel(
            title="Processor time",
            description="Cores that each service uses.",
            queries=by('rate(process_cpu_seconds_total{service=~"$service"}[$__rate_interval])', "{{service}}"),
            stacked=True,
        ),
        Panel(
            title="Memory",
            description="What each process holds.",
            queries=by('process_resident_memory_bytes{service=~"$service"}', "{{service}}"),
            unit="bytes",
            stacked=True,
            steps=((1073741824, Colour.WARNING),),
            alerts=("LockgrooveMemoryHigh",),
        ),
        Panel(
            title="File descriptors",
            description="The share of those allowed that are open.",
            queries=by('process_open_fds{service=~"$service"} / process_max_fds{service=~"$service"}', "{{service}}"),
            unit="percentunit",
            steps=((0.8, Colour.WARNING),),
            alerts=("LockgrooveFilesRunOut",),
        ),
        Panel(
            title="Running for",
            description="Since the last start.",
            queries=by('lockgroove_uptime_seconds{service=~"$service"}', "{{service}}"),
            unit="s",
            kind=Kind.NUMBER,
            base=Colour.PLAIN,
            alerts=("LockgrooveRestarting",),
        ),
        Panel(
            title="Lateness, p99",
            description="How late the event loop comes to what is due.",
            queries=by(
                "histogram_quantile(0.99, sum by (service, le)"
                ' (rate(lockgroove_event_loop_lag_seconds_bucket{service=~"$service"}[$__rate_interval])))',
                "{{service}}",
            ),
            unit="s",
            steps=((0.5, Colour.WARNING),),
            alerts=("LockgrooveEventLoopLate",),
        ),
        Panel(
            title="Databases",
            description="Whether each service can use its own.",
            queries=by('lockgroove_component_up{component="database",service=~"$service"}', "{{service}}"),
            kind=Kind.STATES,
            names=UP_OR_DOWN,
            alerts=("LockgrooveDatabaseDown",),
        ),
    ),
)

_SECRETS = Row(
    title="Secrets and certificates",
    panels=(
        Panel(
            title="Sealed secrets",
            description="By the data key that seals them. Nobody can read `unreadable` ones.",
            queries=by(
                'max by (service, key) (lockgroove_sealed_records{service=~"$service"})', "{{service}}: {{key}}"
            ),
            alerts=("LockgrooveSecretsUnreadable", "LockgrooveSecretsNotResealed"),
        ),
        Panel(
            title="Generation of the data key",
            description="It rises with each rotation; all services reach it within a minute.",
            queries=by('max by (service) (lockgroove_data_key_epoch{service=~"$service"})', "{{service}}"),
        ),
        Panel(
            title="Certificates end in",
            description="Of mutual TLS between services; empty where there is none.",
            queries=by(
                'min by (service) (lockgroove_tls_certificate_expiry_timestamp_seconds{service=~"$service"}) - time()',
                "{{service}}",
                proof={_ENDS: "9999999x90"},
            ),
            unit="s",
            kind=Kind.NUMBER,
            base=Colour.BAD,
            steps=((172800, Colour.WARNING), (1209600, Colour.GOOD)),
            alerts=("LockgrooveCertificateEndsSoon", "LockgrooveCertificateEnds"),
        ),
    ),
)

_DISKS = Row(
    title="Disks",
    panels=(
        Panel(
            title="Left on disks",
            description="Of the folders of the library, the downloads and the data.",
            queries=by("min by (volume) (lockgroove_disk_free_bytes)", "{{volume}}"),
            unit="bytes",
            alerts=("LockgrooveDiskFull", "LockgrooveDiskLow"),
        ),
        Panel(
            title="Share that is left",
            description="Of each disk.",
            queries=by("min by (volume) (lockgroove_disk_free_bytes / lockgroove_disk_total_bytes)", "{{volume}}"),
            unit="percentunit",
            alerts=("LockgrooveDiskLow",),
        ),
        Panel(
            title="Can be written to",
            description="Whether a folder can be written to; Lidarr may keep the library alone.",
            queries=by("min by (volume) (lockgroove_disk_writable)", "{{volume}}"),
            kind=Kind.STATES,
            names={0: ("no", Colour.WARNING), 1: ("yes", Colour.GOOD)},
            alerts=("LockgrooveDiskNotWritable",),
        ),
        Panel(
            title="Full in",
            description="If it goes on as in the last six hours; nothing is drawn for a disk that does not fill.",
            queries=by(
                "min by (volume) (lockgroove_disk_free_bytes / -deriv(lockgroove_disk_free_bytes[6h]) > 0 < Inf)",
                "{{volume}}",
                proof={'lockgroove_disk_free_bytes{service="acquisition",volume="music"}': "200e9-0.3e9x90"},
            ),
            unit="s",
            steps=((86400, Colour.WARNING),),
            alerts=("LockgrooveDiskFills",),
        ),
    ),
)

_DATABASE = Row(
    title="Database and work",
    panels=(
        Panel(
            title="Wait for a connection, p95",
            description="How long transactions waited before they began, by service.",
            queries=by(_p95("lockgroove_sql_wait_seconds", "service"), "{{service}}"),
            unit="s",
            steps=((1, Colour.WARNING),),
            alerts=("LockgrooveDatabaseBusy",),
        ),
        Panel(
            title="Transactions, p95",
            description="From BEGIN to the end, by service.",
            queries=by(_p95("lockgroove_sql_transaction_duration_seconds", "service"), "{{service}}"),
            unit="s",
        ),
        Panel(
            title="Statements, p95",
            description="By service and verb.",
            queries=by(_p95("lockgroove_sql_statement_duration_seconds", "service, verb"), "{{service}}: {{verb}}"),
            unit="s",
        ),
        Panel(
            title="Failures of the database",
            description="Transactions within ten minutes that ended because of it, by reason.",
            queries=by(
                'sum by (service, reason) (increase(lockgroove_sql_failures_total{service=~"$service"}[10m]))',
                "{{service}}: {{reason}}",
                proof={'lockgroove_sql_failures_total{service="config",reason="DISK_FULL"}': "0+1x90"},
            ),
            alerts=("LockgrooveDatabaseFailures",),
        ),
        Panel(
            title="Steps of work",
            description="A second, by queue and how they ended.",
            queries=by(
                "sum by (queue, outcome) (rate(lockgroove_work_runs_total[$__rate_interval]))",
                "{{queue}}: {{outcome}}",
            ),
            alerts=("LockgrooveWorkLost", "LockgrooveWorkTakenOver"),
        ),
        Panel(
            title="Steps begun",
            description="Within half an hour: for the first time, again, or taken over from a process that ended.",
            queries=by(
                "sum by (queue, how) (increase(lockgroove_work_claims_total[30m]))",
                "{{queue}}: {{how}}",
            ),
            alerts=("LockgrooveWorkTakenOver",),
        ),
        Panel(
            title="Steps that run",
            description="In all processes, by queue.",
            queries=by("sum by (queue) (lockgroove_work_running)", "{{queue}}"),
        ),
        Panel(
            title="Time for a step, p95",
            description="By queue.",
            queries=by(_p95("lockgroove_work_duration_seconds", "queue"), "{{queue}}"),
            unit="s",
        ),
        Panel(
            title="Settings in force",
            description="Their revision in each service; all reach the newest within seconds.",
            queries=by('lockgroove_settings_revision{service=~"$service"}', "{{service}}"),
        ),
    ),
)

_UPKEEP = Row(
    title="Backups and clean-up",
    panels=(
        Panel(
            title="Age of the newest backup",
            description="Of those that could be read again; once a day there should be one.",
            queries=by(
                "time() - max(lockgroove_backup_last_success_timestamp_seconds)", "age", proof={_BACKUP: "60x90"}
            ),
            unit="s",
            kind=Kind.NUMBER,
            steps=((86400, Colour.WARNING), (93600, Colour.BAD)),
            alerts=("LockgrooveBackupOld", "LockgrooveBackupMissing"),
        ),
        Panel(
            title="Size of the newest backup",
            description="A sudden fall is worth a look.",
            queries=by("max(lockgroove_backup_size_bytes)", "size", proof={_SIZE: "60x90"}),
            unit="bytes",
        ),
        Panel(
            title="Removed because it was old",
            description="Within a day, by kind.",
            queries=by(
                'sum by (service, what) (increase(lockgroove_cleanup_removed_total{service=~"$service"}[24h]))',
                "{{service}}: {{what}}",
            ),
        ),
        Panel(
            title="Since the last clean-up",
            description="Every night there should be one; since the start where there was none yet.",
            queries=by(
                "time() - (lockgroove_cleanup_last_run_timestamp_seconds > 0"
                " or process_start_time_seconds and lockgroove_cleanup_last_run_timestamp_seconds)",
                "{{service}}",
            ),
            unit="s",
            steps=((100000, Colour.WARNING),),
            alerts=("LockgrooveCleanupOverdue", "LockgrooveCleanupFailing"),
        ),
        Panel(
            title="Time for a clean-up",
            description="Of a run, p95 within a day: between steps it waits for those who work.",
            queries=by(
                "histogram_quantile(0.95, sum by (service, le)"
                " (increase(lockgroove_cleanup_duration_seconds_bucket[24h])))",
                "{{service}}",
                proof=_CLEANUPS,
            ),
            unit="s",
        ),
    ),
)

SYSTEM = Dashboard(
    name="system",
    title="system",
    description="Processes, databases, secrets, backups and room.",
    rows=(_PROCESSES, _DISKS, _DATABASE, _UPKEEP, _SECRETS),
)
