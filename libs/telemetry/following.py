"""What a service tells about the settings that it follows, and how they change what it tells."""

from libs.telemetry.setup import Telemetry


class FollowedSettings:
    """The revision in force, how often there was a new one, and the level of the log."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._level = telemetry.level
        self._revision = telemetry.metrics.gauge("settings_revision", "The revision of the settings in force.")
        self._reloads = telemetry.metrics.counter(
            "settings_reloads",
            "Revisions that were `taken`, connections to the config service that were `lost`.",
            ["outcome"],
        )

    def taken(self, revision: int, log_level: str | None) -> None:
        """A new revision is in force; its level of the log is None where nobody set one."""
        self._revision.set(revision)
        self._reloads.labels("taken").inc()
        self._level.follow(log_level)

    def lost(self) -> None:
        """Changes are not heard of for now."""
        self._reloads.labels("lost").inc()
