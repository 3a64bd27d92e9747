"""Whether there are backups, and room to work in."""

from deploy.monitoring.alerts.alert import Alert, Case, Group, Severity

_BACKUP = "lockgroove_backup_last_success_timestamp_seconds"
_UPTIME = "lockgroove_uptime_seconds"
_CLEANED = "lockgroove_cleanup_last_run_timestamp_seconds"
_STARTED = "process_start_time_seconds"
_SQL = 'lockgroove_sql_wait_seconds_bucket{service="config",mode="write",le="%s"}'
_KEPT = 'lockgroove_cleanup_failures_total{service="webhooks",what="events"}'
_LAG = 'lockgroove_event_loop_lag_seconds_bucket{service="gateway",le="%s"}'

SYSTEM = Group(
    name="system",
    alerts=(
        Alert(
            name="LockgrooveBackupOld",
            severity=Severity.WARNING,
            summary="The newest backup is older than 26 hours",
            description="The last backup that could be read again was made {{ $value | humanizeDuration }} ago.",
            measured=f"time() - max({_BACKUP})",
            condition="> 93600",
            minutes=5,
            rare="no backup has been made yet",
            fires=Case(
                minutes=1566,
                series={f'{_BACKUP}{{service="config"}}': "0x1600"},
                says="The last backup that could be read again was made 1d 2h 6m 0s ago.",
            ),
            quiet={f'{_BACKUP}{{service="config"}}': "0x1500 60x100"},
        ),
        Alert(
            name="LockgrooveBackupMissing",
            severity=Severity.WARNING,
            summary="There is no backup",
            description="The suite has run for {{ $value | humanizeDuration }}, and no backup can be found.",
            measured=f'max({_UPTIME}{{service="config"}})',
            condition=f"> 93600 unless on () max({_BACKUP}) > 0",
            minutes=5,
            fires=Case(
                minutes=10,
                series={f'{_UPTIME}{{service="config"}}': "180000+60x20"},
                says="The suite has run for 2d 2h 10m 0s, and no backup can be found.",
            ),
            quiet={f'{_UPTIME}{{service="config"}}': "180000+60x20", f'{_BACKUP}{{service="config"}}': "60x20"},
        ),
        Alert(
            name="LockgrooveCleanupOverdue",
            severity=Severity.WARNING,
            summary="What is old is not removed",
            description="{{ $labels.service }} last removed what is old {{ $value | humanizeDuration }} ago.",
            measured=f"time() - ({_CLEANED} > 0 or {_STARTED} and {_CLEANED})",  # from the start where it never was
            condition="> 100000",
            minutes=10,
            fires=Case(
                minutes=1680,
                series={f'{_CLEANED}{{service="config"}}': "0x1700", f'{_STARTED}{{service="config"}}': "0x1700"},
                says="config last removed what is old 1d 4h 0m 0s ago.",
                labels={"service": "config"},
            ),
            quiet={
                f'{_CLEANED}{{service="config"}}': "0x1440 86400x300",
                f'{_STARTED}{{service="config"}}': "0x1700",
                f'{_CLEANED}{{service="webhooks"}}': "0x1700",
                f'{_STARTED}{{service="webhooks"}}': "60000x1700",
            },
        ),
        Alert(
            name="LockgrooveCleanupFailing",
            severity=Severity.WARNING,
            summary="Some of what is old could not be removed",
            description="{{ $labels.service }} could not remove all {{ $labels.what }}.",
            measured="increase(lockgroove_cleanup_failures_total[26h])",
            condition="> 0",
            minutes=0,
            fires=Case(
                minutes=30,
                series={_KEPT: "0x9 1x50"},
                says="webhooks could not remove all events.",
                labels={"service": "webhooks", "what": "events"},
            ),
            quiet={_KEPT: "3x60"},
        ),
        Alert(
            name="LockgrooveDatabaseBusy",
            severity=Severity.WARNING,
            summary="Transactions of Lockgroove wait for a connection",
            description="One in twenty of {{ $labels.service }} waits longer than {{ $value | humanizeDuration }}.",
            measured="histogram_quantile(0.95, sum by (service, le) (rate(lockgroove_sql_wait_seconds_bucket[10m])))",
            condition="> 1",
            minutes=5,
            fires=Case(
                minutes=25,
                series={_SQL % "1": "0+90x30", _SQL % "2.5": "0+100x30", _SQL % "+Inf": "0+100x30"},
                says="One in twenty of config waits longer than 1.75s.",
                labels={"service": "config"},
            ),
            quiet={_SQL % "1": "0+96x30", _SQL % "2.5": "0+100x30", _SQL % "+Inf": "0+100x30"},
        ),
        Alert(
            name="LockgrooveDatabaseFailures",
            severity=Severity.WARNING,
            summary="Transactions fail because of the database",
            description="{{ $value | humanize }} of {{ $labels.service }} in ten minutes: {{ $labels.reason }}.",
            measured="sum by (service, reason) (increase(lockgroove_sql_failures_total[10m]))",
            condition="> 5",
            minutes=0,
            rare="a healthy database does not fail",
            fires=Case(
                minutes=15,
                series={'lockgroove_sql_failures_total{service="config",reason="DISK_FULL"}': "0+1x30"},
                says="10 of config in ten minutes: DISK_FULL.",
                labels={"service": "config", "reason": "DISK_FULL"},
            ),
            quiet={'lockgroove_sql_failures_total{service="config",reason="DISK_FULL"}': "0+0.4x30"},
        ),
        Alert(
            name="LockgrooveMemoryHigh",
            severity=Severity.WARNING,
            summary="A service of Lockgroove takes much memory",
            description="{{ $labels.service }} has held {{ $value | humanize1024 }}B for a quarter of an hour.",
            measured='process_resident_memory_bytes{service!=""}',
            condition="> 1073741824",
            minutes=15,
            fires=Case(
                minutes=16,
                series={'process_resident_memory_bytes{service="acquisition"}': "1610612736x20"},
                says="acquisition has held 1.5GiB for a quarter of an hour.",
                labels={"service": "acquisition"},
            ),
            quiet={'process_resident_memory_bytes{service="acquisition"}': "1073741824x20"},
        ),
        Alert(
            name="LockgrooveFilesRunOut",
            severity=Severity.WARNING,
            summary="A service of Lockgroove runs out of file descriptors",
            description="{{ $labels.service }} has {{ $value | humanizePercentage }} of its file descriptors open.",
            measured='process_open_fds{service!=""} / process_max_fds{service!=""}',
            condition="> 0.8",
            minutes=5,
            fires=Case(
                minutes=6,
                series={
                    'process_open_fds{service="gateway"}': "900x10",
                    'process_max_fds{service="gateway"}': "1000x10",
                },
                says="gateway has 90% of its file descriptors open.",
                labels={"service": "gateway"},
            ),
            quiet={'process_open_fds{service="gateway"}': "800x10", 'process_max_fds{service="gateway"}': "1000x10"},
        ),
        Alert(
            name="LockgrooveEventLoopLate",
            severity=Severity.WARNING,
            summary="A service of Lockgroove comes late to everything",
            description="In {{ $labels.service }} one turn in a hundred comes {{ $value | humanizeDuration }} late.",
            measured=(
                "histogram_quantile(0.99, sum by (service, le) (rate(lockgroove_event_loop_lag_seconds_bucket[10m])))"
            ),
            condition="> 0.5",
            minutes=10,
            fires=Case(
                minutes=25,
                series={_LAG % "0.5": "0+58x30", _LAG % "1": "0+60x30", _LAG % "+Inf": "0+60x30"},
                says="In gateway one turn in a hundred comes 850ms late.",
                labels={"service": "gateway"},
            ),
            quiet={_LAG % "0.5": "0+60x30", _LAG % "1": "0+60x30", _LAG % "+Inf": "0+60x30"},
        ),
    ),
)
