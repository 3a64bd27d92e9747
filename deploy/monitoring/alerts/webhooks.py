"""Whether deliveries are taken in, handled, and looked after."""

from deploy.monitoring.alerts.alert import Alert, Case, Group, Severity, grown

_DEAD = 'lockgroove_webhook_dead_letters{service="webhooks",reason="%s"}'
_FAILED = 'lockgroove_webhook_replays_ended_total{state="failed"}'
_RECONCILED = "lockgroove_webhook_reconciliation_last_run_timestamp_seconds"
_REFUSED = 'lockgroove_webhook_rejections_total{service="webhooks",source="lidarr",reason="WEBHOOK_CREDENTIAL_REFUSED"}'

WEBHOOKS = Group(
    name="webhooks",
    alerts=(
        Alert(
            name="LockgrooveWebhookBacklogOld",
            severity=Severity.WARNING,
            summary="Webhook events wait too long",
            description="The oldest event has been due for {{ $value | humanizeDuration }}.",
            measured="max(lockgroove_webhook_backlog_age_seconds)",
            condition="> 600",
            minutes=5,
            fires=Case(
                minutes=20,
                series={'lockgroove_webhook_backlog_age_seconds{service="webhooks"}': "0+60x30"},
                says="The oldest event has been due for 20m 0s.",
            ),
            quiet={'lockgroove_webhook_backlog_age_seconds{service="webhooks"}': "600x30"},
        ),
        Alert(
            name="LockgrooveDeadLetters",
            severity=Severity.WARNING,
            summary="Over a hundred webhook events were given up",
            description="{{ $value }} dead letters wait for a decision.",
            measured="sum(max by (reason) (lockgroove_webhook_dead_letters))",
            condition="> 100",
            minutes=10,
            fires=Case(
                minutes=11,
                series={_DEAD % "rejected": "60x20", _DEAD % "unreadable": "41x20"},
                says="101 dead letters wait for a decision.",
            ),
            quiet={_DEAD % "rejected": "60x20", _DEAD % "unreadable": "40x20"},
        ),
        Alert(
            name="LockgrooveDeadLettersMany",
            severity=Severity.CRITICAL,
            summary="Over 500 webhook events were given up",
            description="{{ $value }} dead letters wait for a decision.",
            measured="sum(max by (reason) (lockgroove_webhook_dead_letters))",
            condition="> 500",
            minutes=5,
            fires=Case(
                minutes=6,
                series={_DEAD % "handler_error": "501x20"},
                says="501 dead letters wait for a decision.",
            ),
            quiet={_DEAD % "handler_error": "500x20"},
        ),
        Alert(
            name="LockgrooveDeadLetterOld",
            severity=Severity.WARNING,
            summary="Nobody has decided about a dead letter for a day",
            description="The oldest dead letter was received {{ $value | humanizeDuration }} ago.",
            measured="max(lockgroove_webhook_dead_letter_age_seconds)",
            condition="> 86400",
            minutes=10,
            fires=Case(
                minutes=11,
                series={'lockgroove_webhook_dead_letter_age_seconds{service="webhooks"}': "86460x20"},
                says="The oldest dead letter was received 1d 0h 1m 0s ago.",
            ),
            quiet={'lockgroove_webhook_dead_letter_age_seconds{service="webhooks"}': "86400x20"},
        ),
        Alert(
            name="LockgrooveReplayFailed",
            severity=Severity.WARNING,
            summary="A replay of webhook events was given up",
            description="{{ $value | humanize }} replays failed within an hour.",
            measured=f"sum{grown(_FAILED, '1h')}",
            condition="> 0",
            minutes=0,
            rare="no replay fails",
            fires=Case(
                minutes=70,
                series={'lockgroove_webhook_replays_ended_total{service="webhooks",state="failed"}': "_x49 1x50"},
                says="1 replays failed within an hour.",
            ),
            quiet={
                'lockgroove_webhook_replays_ended_total{service="webhooks",state="failed"}': "3x99",
                'lockgroove_webhook_replays_ended_total{service="webhooks",state="completed"}': "0+1x99",
            },
        ),
        Alert(
            name="LockgrooveWebhookNotRegistered",
            severity=Severity.WARNING,
            summary="A sender does not tell Lockgroove what it does",
            description="Nothing has been registered with {{ $labels.source }} for a quarter of an hour.",
            measured="max by (source) (lockgroove_webhook_registered)",
            condition="== 0",
            minutes=15,
            fires=Case(
                minutes=16,
                series={'lockgroove_webhook_registered{service="webhooks",source="lidarr"}': "0x20"},
                says="Nothing has been registered with lidarr for a quarter of an hour.",
                labels={"source": "lidarr"},
            ),
            quiet={'lockgroove_webhook_registered{service="webhooks",source="lidarr"}': "0x13 1x10"},
        ),
        Alert(
            name="LockgrooveWebhooksRefused",
            severity=Severity.WARNING,
            summary="Deliveries of webhooks are refused",
            description="{{ $value | humanize }} of {{ $labels.source }} in 15 minutes: {{ $labels.reason }}.",
            measured="sum by (source, reason) (increase(lockgroove_webhook_rejections_total[15m]))",
            condition="> 20",
            minutes=0,
            fires=Case(
                minutes=20,
                series={_REFUSED: "0+2x30"},
                says="30 of lidarr in 15 minutes: WEBHOOK_CREDENTIAL_REFUSED.",
                labels={"source": "lidarr", "reason": "WEBHOOK_CREDENTIAL_REFUSED"},
            ),
            quiet={_REFUSED: "0+1x30"},
        ),
        Alert(
            name="LockgrooveReconciliationOverdue",
            severity=Severity.WARNING,
            summary="Nobody looks for stuck or missing webhook events",
            description="The last pass ended {{ $value | humanizeDuration }} ago; one is due every 5 min.",
            measured=f"time() - max({_RECONCILED})",
            condition="> 900",
            minutes=5,
            fires=Case(
                minutes=21,
                series={f'{_RECONCILED}{{service="webhooks"}}': "0x30"},
                says="The last pass ended 21m 0s ago; one is due every 5 min.",
            ),
            quiet={f'{_RECONCILED}{{service="webhooks"}}': "0x15 900x30"},
        ),
        Alert(
            name="LockgroovePartitionsMissing",
            severity=Severity.CRITICAL,
            summary="Webhook events have no room in the days to come",
            description="{{ $value }} of the next days have no partition; from then on deliveries are refused.",
            measured="max(lockgroove_webhook_partitions_missing)",
            condition="> 0",
            minutes=10,
            fires=Case(
                minutes=11,
                series={'lockgroove_webhook_partitions_missing{service="webhooks"}': "7x20"},
                says="7 of the next days have no partition; from then on deliveries are refused.",
            ),
            quiet={'lockgroove_webhook_partitions_missing{service="webhooks"}': "7x8 0x20"},
        ),
    ),
)
