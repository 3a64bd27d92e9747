"""The secrets of the built-in sources, out of the settings in force."""

from libs.live import LiveSettings
from services.webhooks.domain.inbox import Listed
from services.webhooks.domain.source import BUILT_IN, LIDARR, SLSKD, UnknownSource
from services.webhooks.domain.verification.scheme import Credentials


class SettingsSecrets:
    """Secrets that follow the settings without a restart."""

    def __init__(self, live: LiveSettings) -> None:
        self._live = live

    def of(self, source: str) -> str:
        """The secret of a source, empty where none is set; raises SettingsAbsent while the settings are not known."""
        settings = self._live.current.settings
        secrets = {LIDARR.name: settings.lidarr.webhook_secret, SLSKD.name: settings.slskd.webhook_secret}
        return secrets.get(source, "")


class LiveSources:
    """The built-in sources alone."""

    def __init__(self, secrets: SettingsSecrets) -> None:
        self._secrets = secrets

    def get(self, name: str) -> Listed:
        """The source of this name; raises UnknownSource."""
        if name not in BUILT_IN:
            raise UnknownSource(name)
        secret = self._secrets.of(name)
        credentials = Credentials(secrets=[secret] if secret else [], required=bool(secret))
        return Listed(source=BUILT_IN[name], credentials=credentials)

    async def refresh(self) -> bool:
        """Nothing changes."""
        return False
