"""The secrets of the sources, out of the settings in force."""

from collections.abc import Sequence

from lockgroove.config.v1 import config_pb2 as pb

from libs.live import LiveSettings
from services.webhooks.domain.source import LIDARR


class LiveSecrets:
    """Secrets that follow the settings without a restart."""

    def __init__(self, live: LiveSettings) -> None:
        self._live = live

    def of(self, source: str) -> Sequence[str]:
        """The secrets of a source, none where none is set; raises SettingsAbsent while the settings are not known."""
        return [secret for secret in (_secret(source, self._live.current.settings),) if secret]


def _secret(source: str, settings: pb.Settings) -> str:
    return settings.lidarr.webhook_secret if source == LIDARR.name else ""
