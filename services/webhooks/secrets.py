"""The secrets of the built-in sources, out of the settings in force."""

from libs.live import LiveSettings
from services.webhooks.domain.source import LIDARR, SLSKD


class SettingsSecrets:
    """Secrets that follow the settings without a restart."""

    def __init__(self, live: LiveSettings) -> None:
        self._live = live

    def of(self, source: str) -> str:
        """The secret of a source, empty where none is set; raises SettingsAbsent while the settings are not known."""
        settings = self._live.current.settings
        secrets = {LIDARR.name: settings.lidarr.webhook_secret, SLSKD.name: settings.slskd.webhook_secret}
        return secrets.get(source, "")
