"""Deliveries, what became of them, and those that were given up."""

from deploy.monitoring.dashboards.panel import Colour, Dashboard, Kind, Panel, Query, Row, by, quantiles

_RISING = "0+1x90"
_DECIDED = 'lockgroove_webhook_dead_letters_decided_total{service="webhooks",decision="replayed"}'
_REPLAYED = 'lockgroove_webhook_replay_events_total{service="webhooks",outcome="replayed"}'
_ENDED = 'lockgroove_webhook_replays_ended_total{service="webhooks",state="completed"}'
_BACKFILLED = 'lockgroove_webhook_backfilled_events_total{service="webhooks",source="lidarr",event_type="Grab"}'

_INTAKE = Row(
    title="Intake",
    panels=(
        Panel(
            title="Deliveries",
            description="A second, by sender.",
            queries=by(
                'sum by (source) (rate(lockgroove_webhook_events_total{status="received"}[$__rate_interval]))',
                "{{source}}",
            ),
            unit="reqps",
            traces="webhooks",
        ),
        Panel(
            title="From arrival to commit",
            description="At the gateway until the event is safe: that is when the sender hears 202.",
            queries=quantiles("lockgroove_webhook_delivery_duration_seconds"),
            unit="s",
            traces="webhooks",
        ),
        Panel(
            title="Events that share a commit",
            description="On average; more under load, which is what keeps it quick.",
            queries=by(
                "sum(rate(lockgroove_webhook_commit_events_sum[$__rate_interval]))"
                " / sum(rate(lockgroove_webhook_commit_events_count[$__rate_interval]))",
                "events",
            ),
        ),
        Panel(
            title="Refused",
            description="Within 15 minutes, by sender and reason.",
            queries=by(
                "sum by (source, reason) (increase(lockgroove_webhook_rejections_total[15m]))", "{{source}}: {{reason}}"
            ),
            alerts=("LockgrooveWebhooksRefused",),
        ),
        Panel(
            title="Registered with senders",
            description="Whether a sender that we look after ourselves knows us, and delivers.",
            queries=by("max by (source) (lockgroove_webhook_registered)", "{{source}}"),
            kind=Kind.STATES,
            names={0: ("not registered", Colour.BAD), 1: ("registered", Colour.GOOD)},
            alerts=("LockgrooveWebhookNotRegistered",),
        ),
        Panel(
            title="Found in senders' records",
            description="Events within an hour that no webhook told.",
            queries=by(
                "sum by (source) (increase(lockgroove_webhook_backfilled_events_total[1h]))",
                "{{source}}",
                proof={_BACKFILLED: _RISING},
            ),
        ),
    ),
)

_PROCESSING = Row(
    title="Processing",
    panels=(
        Panel(
            title="Waiting",
            description="Events that have not ended, by state.",
            queries=by("max by (state) (lockgroove_webhook_backlog_state_events)", "{{state}}"),
            stacked=True,
        ),
        Panel(
            title="Age of the oldest",
            description="How long ago the oldest event of each state was received; and for how long one has been due.",
            queries=(
                Query(expression="max by (state) (lockgroove_webhook_backlog_state_age_seconds)", legend="{{state}}"),
                Query(expression="max(lockgroove_webhook_backlog_age_seconds)", legend="due"),
            ),
            unit="s",
            alerts=("LockgrooveWebhookBacklogOld",),
        ),
        Panel(
            title="Time for one try",
            description="Of an event, good or bad.",
            queries=quantiles("lockgroove_webhook_processing_duration_seconds"),
            unit="s",
            traces="webhooks",
        ),
        Panel(
            title="What became of events",
            description="A second, by the state that a try led to.",
            queries=by(
                "sum by (status) (rate(lockgroove_webhook_events_total"
                '{status!~"received|accepted|duplicate|conflict|rejected"}[$__rate_interval]))',
                "{{status}}",
            ),
            stacked=True,
        ),
        Panel(
            title="Tries of an event",
            description="Until it ended: p95.",
            queries=by(
                "histogram_quantile(0.95, sum by (source, le)"
                " (rate(lockgroove_webhook_event_tries_bucket[$__rate_interval])))",
                "{{source}}",
            ),
        ),
        Panel(
            title="Found stuck or missing",
            description="And corrected, within an hour, by kind.",
            queries=by("sum by (kind) (increase(lockgroove_webhook_reconciliation_findings_total[1h]))", "{{kind}}"),
            alerts=("LockgrooveReconciliationOverdue",),
        ),
    ),
)

_DEAD = Row(
    title="Dead letters and replays",
    panels=(
        Panel(
            title="Dead letters",
            description="Events that were given up, by reason.",
            queries=by("max by (reason) (lockgroove_webhook_dead_letters)", "{{reason}}"),
            stacked=True,
            steps=((100, Colour.WARNING), (500, Colour.BAD)),
            alerts=("LockgrooveDeadLetters", "LockgrooveDeadLettersMany"),
        ),
        Panel(
            title="By reason, now",
            description="Events that were given up, by reason.",
            queries=by("max by (reason) (lockgroove_webhook_dead_letters)", "{{reason}}"),
            kind=Kind.BARS,
            steps=((1, Colour.WARNING), (100, Colour.BAD)),
        ),
        Panel(
            title="Age of the oldest dead letter",
            description="Since it was received.",
            queries=by("max(lockgroove_webhook_dead_letter_age_seconds)", "age"),
            unit="s",
            steps=((86400, Colour.WARNING),),
            alerts=("LockgrooveDeadLetterOld",),
        ),
        Panel(
            title="Decided one by one",
            description="Dead letters that were replayed or discarded within an hour.",
            queries=by(
                "sum by (decision) (increase(lockgroove_webhook_dead_letters_decided_total[1h]))",
                "{{decision}}",
                proof={_DECIDED: _RISING},
            ),
        ),
        Panel(
            title="Looked at by replays",
            description="Events within an hour.",
            queries=by(
                "sum by (outcome) (increase(lockgroove_webhook_replay_events_total[1h]))",
                "{{outcome}}",
                proof={_REPLAYED: _RISING},
            ),
        ),
        Panel(
            title="Replays that ended",
            description="Within a day, good or bad.",
            queries=by(
                "sum by (state) (increase(lockgroove_webhook_replays_ended_total[24h]))",
                "{{state}}",
                proof={_ENDED: _RISING},
            ),
            alerts=("LockgrooveReplayFailed",),
        ),
    ),
)

_UPKEEP = Row(
    title="Upkeep",
    panels=(
        Panel(
            title="Since the last look for stuck events",
            description="Every five minutes there should be one.",
            queries=by("time() - max(lockgroove_webhook_reconciliation_last_run_timestamp_seconds)", "age"),
            unit="s",
            steps=((900, Colour.WARNING),),
            alerts=("LockgrooveReconciliationOverdue",),
        ),
        Panel(
            title="Days without room",
            description="From today to a week ahead (PostgreSQL).",
            queries=by("max(lockgroove_webhook_partitions_missing)"),
            kind=Kind.NUMBER,
            steps=((1, Colour.BAD),),
            alerts=("LockgroovePartitionsMissing",),
        ),
        Panel(
            title="Who looks after it",
            description="1 on the replica that did it last.",
            queries=by("max by (lease) (lockgroove_webhook_upkeep_leader)", "{{lease}}"),
        ),
    ),
)

WEBHOOKS = Dashboard(
    name="webhooks",
    title="webhooks and dead letters",
    description="Deliveries, what became of them, and those that were given up.",
    rows=(_INTAKE, _PROCESSING, _DEAD, _UPKEEP),
)
