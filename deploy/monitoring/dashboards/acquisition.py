"""Albums on their way: what waits, what runs, how it ends, and the network it comes from."""

from deploy.monitoring.dashboards.panel import Colour, Dashboard, Kind, Panel, Query, Row, by, quantiles

_SLSKD = 'lockgroove_slskd_downloads_total{service="acquisition",status="success"}'
_SESSION_ENDS = 'lockgroove_soulseek_session_ends_total{service="acquisition",reason="soulseek_kicked"}'
_BATCHES = 'lockgroove_batches_total{service="acquisition",status="COMPLETED"}'
_ACTIONS = 'lockgroove_automation_actions_total{service="config",automation="weekly",status="done"}'
_RISING = "0+1x90"

_ALBUMS = Row(
    title="Albums",
    panels=(
        Panel(
            title="Waiting for their turn",
            description="Acquisitions that are not under way yet.",
            queries=by("max by (source) (lockgroove_acquisition_queue_depth)", "{{source}}"),
            stacked=True,
        ),
        Panel(
            title="Under way",
            description="Acquisitions that run, on all replicas.",
            queries=by("max by (source) (lockgroove_acquisition_running)", "{{source}}"),
            stacked=True,
        ),
        Panel(
            title="Overdue",
            description="For how long the most overdue acquisition has been due.",
            queries=by("max by (source) (lockgroove_acquisition_backlog_age_seconds)", "{{source}}"),
            unit="s",
            steps=((3600, Colour.WARNING),),
            alerts=("LockgrooveAcquisitionBacklogOld",),
        ),
        Panel(
            title="Ended",
            description="Within an hour, by source and how they ended.",
            queries=by(
                "sum by (source, status) (increase(lockgroove_download_jobs_total[1h]))", "{{source}}: {{status}}"
            ),
            alerts=("LockgrooveAcquisitionsFailing",),
            traces="acquisition",
        ),
        Panel(
            title="From request to end",
            description="How long acquisitions took, whatever they waited for.",
            queries=quantiles("lockgroove_download_job_duration_seconds"),
            unit="s",
            traces="acquisition",
        ),
        Panel(
            title="Steps at work",
            description="Steps of acquisitions that run in each process at this moment.",
            queries=by("sum by (source) (lockgroove_active_downloads)", "{{source}}"),
        ),
    ),
)

_SOULSEEK = Row(
    title="Soulseek and slskd",
    panels=(
        Panel(
            title="Session",
            description="Whether a replica is logged in to the Soulseek server.",
            queries=by("max(lockgroove_soulseek_connection_status)"),
            kind=Kind.STATES,
            names={0: ("logged out", Colour.BAD), 1: ("logged in", Colour.GOOD)},
            alerts=("LockgrooveSoulseekAway", "LockgrooveSoulseekKicked"),
        ),
        Panel(
            title="Log-ins and ends of sessions",
            description="Within an hour, with their reasons.",
            queries=(
                Query(
                    expression="sum by (outcome) (increase(lockgroove_soulseek_logins_total[1h]))",
                    legend="log-in: {{outcome}}",
                ),
                Query(
                    expression="sum by (reason) (increase(lockgroove_soulseek_session_ends_total[1h]))",
                    legend="end: {{reason}}",
                    proof={_SESSION_ENDS: _RISING},
                ),
            ),
        ),
        Panel(
            title="Arriving",
            description="Sizes of files from Soulseek that arrived whole, a second.",
            queries=by("sum(rate(lockgroove_soulseek_downloaded_bytes_total[$__rate_interval]))", "bytes"),
            unit="Bps",
        ),
        Panel(
            title="Searches",
            description="Sent within five minutes, by what came of them.",
            queries=by("sum by (status) (increase(lockgroove_soulseek_searches_total[5m]))", "{{status}}"),
        ),
        Panel(
            title="Search time",
            description="How long answers were collected.",
            queries=quantiles("lockgroove_soulseek_search_duration_seconds"),
            unit="s",
        ),
        Panel(
            title="Files from Soulseek",
            description="Asked for within five minutes, by what came of them.",
            queries=by("sum by (status) (increase(lockgroove_soulseek_downloads_total[5m]))", "{{status}}"),
            stacked=True,
        ),
        Panel(
            title="Time for a file",
            description="From asking to the end, good or bad.",
            queries=quantiles("lockgroove_soulseek_download_duration_seconds"),
            unit="s",
        ),
        Panel(
            title="Files from slskd",
            description="Asked for within five minutes, by what came of them.",
            queries=by(
                "sum by (status) (increase(lockgroove_slskd_downloads_total[5m]))",
                "{{status}}",
                proof={_SLSKD: _RISING},
            ),
            stacked=True,
        ),
    ),
)

_MORE = Row(
    title="Batches, automations, leases",
    panels=(
        Panel(
            title="Batches under way",
            description="Batches that have not ended.",
            queries=by("max(lockgroove_active_batches)", "batches"),
        ),
        Panel(
            title="Batches that ended",
            description="Within an hour, by how they ended.",
            queries=by(
                "sum by (status) (increase(lockgroove_batches_total[1h]))", "{{status}}", proof={_BATCHES: _RISING}
            ),
        ),
        Panel(
            title="Automations",
            description="What the suite did of its own accord within an hour, or did not do.",
            queries=by(
                "sum by (status) (increase(lockgroove_automation_actions_total[1h]))",
                "{{status}}",
                proof={_ACTIONS: _RISING},
            ),
            alerts=("LockgrooveAutomationsFailing",),
        ),
        Panel(
            title="Leases held",
            description="By the kind of their names.",
            queries=by("max by (kind) (lockgroove_leases_held)", "{{kind}}"),
        ),
        Panel(
            title="Operations on leases",
            description="Within five minutes. `held` was taken by another, `lost` came too late.",
            queries=by(
                "sum by (operation, result) (increase(lockgroove_lease_operations_total[5m]))",
                "{{operation}}: {{result}}",
            ),
            alerts=("LockgrooveLeasesLost",),
        ),
        Panel(
            title="Waiting for a lease",
            description="How long callers waited, whether they got it or not.",
            queries=quantiles("lockgroove_lease_wait_seconds"),
            unit="s",
        ),
    ),
)

ACQUISITION = Dashboard(
    name="acquisition",
    title="acquisition",
    description="What waits, what runs, how it ends, and the network it comes from.",
    rows=(_ALBUMS, _SOULSEEK, _MORE),
)
