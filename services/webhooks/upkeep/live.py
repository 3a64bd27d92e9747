"""The settings of upkeep in force; while they are not known, what they are by default."""

from datetime import timedelta

from lockgroove.config.v1 import config_pb2 as pb

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
        settings = self._settings()
        return settings.retention_days if settings.HasField("retention_days") else DAYS

    def _settings(self) -> pb.WebhookSettings:
        try:
            return self._live.current.settings.webhooks
        except SettingsAbsent:
            return pb.WebhookSettings()
