"""Whether albums arrive."""

from deploy.monitoring.alerts.alert import Alert, Case, Group, Severity, grown

_JOBS = "lockgroove_download_jobs_total"
_FAILED = f'sum by (source) (increase({_JOBS}{{status="FAILED"}}[1h]))'
_ENDED = f'sum by (source) (increase({_JOBS}{{status=~"FAILED|COMPLETED"}}[1h]))'
_SOULSEEK = 'lockgroove_component_up{service="acquisition",component="soulseek"}'
_LOST = 'lockgroove_lease_operations_total{service="acquisition",operation="renew",result="lost"}'
_KICKED = 'lockgroove_soulseek_session_ends_total{reason="soulseek_kicked"}'
_ENDS = 'lockgroove_soulseek_session_ends_total{service="acquisition",reason="%s"}'
_CLAIMS = 'lockgroove_work_claims_total{service="acquisition",queue="acquisitions",how="%s"}'
_RUNS = 'lockgroove_work_runs_total{service="acquisition",queue="acquisitions",outcome="%s"}'


def _jobs(status: str) -> str:
    return f'{_JOBS}{{service="acquisition",source="SOULSEEK",status="{status}"}}'


ACQUISITION = Group(
    name="acquisition",
    alerts=(
        Alert(
            name="LockgrooveAcquisitionsFailing",
            severity=Severity.WARNING,
            summary="Most acquisitions of a source fail",
            description="{{ $value | humanizePercentage }} of what {{ $labels.source }} ended within an hour failed.",
            measured=f"{_FAILED} / {_ENDED}",
            condition=f"> 0.5 and {_FAILED} >= 5",
            minutes=10,
            rare="an hour without a failure",
            fires=Case(
                minutes=80,
                series={_jobs("FAILED"): "0+0.3x90", _jobs("COMPLETED"): "0+0.1x90"},
                says="75% of what SOULSEEK ended within an hour failed.",
                labels={"source": "SOULSEEK"},
            ),
            quiet={_jobs("FAILED"): "0+0.3x90", _jobs("COMPLETED"): "0+0.3x90", _jobs("CANCELLED"): "0+9x90"},
        ),
        Alert(
            name="LockgrooveAutomationsFailing",
            severity=Severity.WARNING,
            summary="Automations fail",
            description="{{ $value | humanize }} actions of {{ $labels.automation }} failed within ten minutes.",
            measured='sum by (automation) (increase(lockgroove_automation_actions_total{status="failed"}[10m]))',
            condition="> 5",
            minutes=0,
            rare="no automation fails",
            fires=Case(
                minutes=15,
                series={'lockgroove_automation_actions_total{automation="weekly",status="failed"}': "0+0.6x20"},
                says="6 actions of weekly failed within ten minutes.",
                labels={"automation": "weekly"},
            ),
            quiet={
                'lockgroove_automation_actions_total{automation="weekly",status="failed"}': "0+0.5x20",
                'lockgroove_automation_actions_total{automation="weekly",status="done"}': "0+9x20",
            },
        ),
        Alert(
            name="LockgrooveAcquisitionBacklogOld",
            severity=Severity.WARNING,
            summary="Acquisitions that are due do not begin",
            description="One for {{ $labels.source }} has been due for {{ $value | humanizeDuration }}.",
            measured="max by (source) (lockgroove_acquisition_backlog_age_seconds)",
            condition="> 3600 unless on () lockgroove_kill_switch == 1",
            minutes=10,
            fires=Case(
                minutes=80,
                series={
                    'lockgroove_acquisition_backlog_age_seconds{service="acquisition",source="LIDARR"}': "0+60x90",
                    'lockgroove_kill_switch{service="acquisition"}': "0x90",
                },
                says="One for LIDARR has been due for 1h 20m 0s.",
                labels={"source": "LIDARR"},
            ),
            quiet={
                'lockgroove_acquisition_backlog_age_seconds{service="acquisition",source="LIDARR"}': "0+60x90",
                'lockgroove_acquisition_backlog_age_seconds{service="acquisition",source="SLSKD"}': "3600x90",
                'lockgroove_kill_switch{service="acquisition"}': "1x90",
            },
        ),
        Alert(
            name="LockgrooveKillSwitchOn",
            severity=Severity.WARNING,
            summary="The kill switch has been on for over an hour",
            description="Nothing is acquired: the kill switch is on, or nobody can say how it stands.",
            measured="max(lockgroove_kill_switch)",
            condition="== 1",
            minutes=60,
            fires=Case(
                minutes=61,
                series={'lockgroove_kill_switch{service="acquisition"}': "1x90"},
                says="Nothing is acquired: the kill switch is on, or nobody can say how it stands.",
            ),
            quiet={'lockgroove_kill_switch{service="acquisition"}': "1x58 0 1x60"},
        ),
        Alert(
            name="LockgrooveSoulseekAway",
            severity=Severity.WARNING,
            summary="There is no session at Soulseek",
            description="Logged out for five minutes: the server is away or refuses us, or somebody else logged in.",
            measured='max(lockgroove_component_up{component="soulseek"})',
            condition="< 1",
            minutes=5,
            fires=Case(
                minutes=6,
                series={_SOULSEEK: "0x10"},
                says="Logged out for five minutes: the server is away or refuses us, or somebody else logged in.",
            ),
            quiet={_SOULSEEK: "0x4 1x10"},
        ),
        Alert(
            name="LockgrooveSoulseekKicked",
            severity=Severity.WARNING,
            summary="Somebody else logs in with the Soulseek account",
            description="Kicked {{ $value | humanize }} times within half an hour.",
            measured=f"sum{grown(_KICKED, '30m')}",
            condition="> 0",
            minutes=0,
            rare="nobody else logs in",
            fires=Case(
                minutes=40,
                series={_ENDS % "soulseek_kicked": "_x29 1x20"},
                says="Kicked 1 times within half an hour.",
            ),
            quiet={_ENDS % "soulseek_kicked": "2x60", _ENDS % "soulseek_unreachable": "_x29 1x20"},
        ),
        Alert(
            name="LockgrooveLeasesLost",
            severity=Severity.WARNING,
            summary="Leases are lost by those who hold them",
            description="{{ $value | humanize }} leases were lost within 15 minutes: renewed too late.",
            measured='sum(increase(lockgroove_lease_operations_total{result="lost"}[15m]))',
            condition="> 3",
            minutes=0,
            rare="nobody loses a lease",
            fires=Case(
                minutes=20,
                series={_LOST: "0+0.4x30"},
                says="6 leases were lost within 15 minutes: renewed too late.",
            ),
            quiet={_LOST: "0+0.19x30"},
        ),
        Alert(
            name="LockgrooveWorkTakenOver",
            severity=Severity.WARNING,
            summary="Steps of work are left behind by processes that end",
            description="{{ $value | humanize }} steps of {{ $labels.queue }} were taken over within half an hour.",
            measured='sum by (queue) (increase(lockgroove_work_claims_total{how="taken_over"}[30m]))',
            condition="> 10",
            minutes=0,
            rare="no process dies",
            fires=Case(
                minutes=40,
                series={_CLAIMS % "taken_over": "0+0.5x60"},
                says="15 steps of acquisitions were taken over within half an hour.",
                labels={"queue": "acquisitions"},
            ),
            quiet={_CLAIMS % "taken_over": "0+0.3x60", _CLAIMS % "again": "0+9x60"},
        ),
        Alert(
            name="LockgrooveWorkLost",
            severity=Severity.WARNING,
            summary="Steps of work lose their lease while they run",
            description="{{ $value | humanize }} steps of {{ $labels.queue }} were lost within half an hour.",
            measured='sum by (queue) (increase(lockgroove_work_runs_total{outcome="lost"}[30m]))',
            condition="> 3",
            minutes=0,
            rare="no step is lost",
            fires=Case(
                minutes=40,
                series={_RUNS % "lost": "0+0.2x60"},
                says="6 steps of acquisitions were lost within half an hour.",
                labels={"queue": "acquisitions"},
            ),
            quiet={_RUNS % "lost": "0+0.09x60", _RUNS % "retry": "0+9x60"},
        ),
    ),
)
