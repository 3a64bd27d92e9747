"""Whether there is room, and for how long."""

from deploy.monitoring.alerts.alert import Alert, Case, Group, Severity

_FREE = "lockgroove_disk_free_bytes"
_SHARE = f"{_FREE} / lockgroove_disk_total_bytes"
_MUSIC = '{service="acquisition",volume="music"}'
_HOME = '{service="acquisition",volume="home"}'
_LABELS = {"service": "acquisition", "volume": "music"}


def _disk(free: str, total: str = "1000e9x1000") -> dict[str, str]:
    return {f"{_FREE}{_MUSIC}": free, f"lockgroove_disk_total_bytes{_MUSIC}": total}


DISKS = Group(
    name="disks",
    alerts=(
        Alert(
            name="LockgrooveDiskLow",
            severity=Severity.WARNING,
            summary="A disk of Lockgroove is nearly full",
            description="{{ $value | humanizePercentage }} of the disk of {{ $labels.volume }} is left.",
            measured=_SHARE,
            condition=f"< 0.1 and {_FREE} < 50e9",
            minutes=10,
            fires=Case(
                minutes=11,
                series=_disk("40e9x20"),
                says="4% of the disk of music is left.",
                labels=_LABELS,
            ),
            quiet=_disk("99e9x20"),  # a tenth of a terabyte is plenty
        ),
        Alert(
            name="LockgrooveDiskFull",
            severity=Severity.CRITICAL,
            summary="A disk of Lockgroove is full",
            description="{{ $value | humanize1024 }}B are left on the disk of {{ $labels.volume }}.",
            measured=_FREE,
            condition="< 1073741824",
            minutes=2,
            fires=Case(
                minutes=3,
                series=_disk("536870912x20"),
                says="512MiB are left on the disk of music.",
                labels=_LABELS,
            ),
            quiet=_disk("1073741824x20"),
        ),
        Alert(
            name="LockgrooveDiskFills",
            severity=Severity.WARNING,
            summary="A disk of Lockgroove will be full within a day",
            description="The disk of {{ $labels.volume }} is full in {{ $value | humanizeDuration }} if it goes on so.",
            measured=f"{_FREE} / -deriv({_FREE}[6h])",
            condition=f"> 0 < 86400 and {_SHARE} < 0.25",
            minutes=30,
            fires=Case(
                minutes=400,
                series=_disk("200e9-0.3e9x500"),
                says="The disk of music is full in 4h 26m 40s if it goes on so.",
                labels=_LABELS,
            ),
            quiet=_disk("200e9-0.1e9x500"),
        ),
        Alert(
            name="LockgrooveDiskNotWritable",
            severity=Severity.CRITICAL,
            summary="Lockgroove cannot write where it has to",
            description="The folder of {{ $labels.volume }} cannot be written to by {{ $labels.service }}.",
            measured='lockgroove_disk_writable{volume!="music"}',  # Lidarr may keep the library alone
            condition="== 0",
            minutes=5,
            fires=Case(
                minutes=6,
                series={f"lockgroove_disk_writable{_HOME}": "0x10", f"lockgroove_disk_writable{_MUSIC}": "0x10"},
                says="The folder of home cannot be written to by acquisition.",
                labels={"service": "acquisition", "volume": "home"},
            ),
            quiet={f"lockgroove_disk_writable{_HOME}": "0x4 1x10", f"lockgroove_disk_writable{_MUSIC}": "0x10"},
        ),
    ),
)
