"""The settings of upkeep in force; while they are not known, what they are by default, but nothing is removed by it."""

from datetime import time, timedelta

from lockgroove.config.v1 import config_pb2 as pb

from libs.cleanup.schedule import time_of
from libs.live import LiveSettings, SettingsAbsent

INTERVAL = timedelta(minutes=5)
DAYS = 30


class LiveUpkeep:
    """Settings that follow changes without a restart."""

    def __init__(self, live: LiveSettings) -> None:
        self._live = live

    def interval(self) -> timedelta:
        """How long after a pass of the reconciler the next one begins."""
        settings = self._settings()
        return settings.reconcile_interval.ToTimedelta() if settings.HasField("reconcile_interval") else INTERVAL

    def days(self) -> int:
        """How many days events are kept after they ended."""
        return _days(self._settings())

    def known_days(self) -> int:
        """As `days`, for those who remove events by it; raises SettingsAbsent while it is not known."""
        return _days(self._live.current.settings.webhooks)

    def cleanup_time(self) -> time:
        """When the daily clean-up begins; raises SettingsAbsent while it is not known."""
        return time_of(self._live.current.settings.upkeep.cleanup_time)

    def _settings(self) -> pb.WebhookSettings:
        try:
            return self._live.current.settings.webhooks
        except SettingsAbsent:
            return pb.WebhookSettings()


def _days(settings: pb.WebhookSettings) -> int:
    return settings.retention_days if settings.HasField("retention_days") else DAYS
