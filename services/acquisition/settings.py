"""What the acquisition service reads from its environment, once, at start."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from libs.addresses import target_of
from libs.rpc.tlsfiles import TlsFiles
from libs.telemetry.options import TelemetryOptions

_HOME = "data"
_LISTEN = "127.0.0.1:50051"
_CONFIG = "127.0.0.1:50053"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the service listens, where it keeps its data, and where the config service is."""

    home: Path
    listen: str = _LISTEN
    config: str = _CONFIG
    telemetry: TelemetryOptions = field(default_factory=TelemetryOptions)
    database: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    previous_secret_key: str | None = field(default=None, repr=False)
    secret_key_file: Path | None = None
    tls: TlsFiles = field(default_factory=TlsFiles)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """The settings that the environment names; an empty variable counts as unset."""
        given = {name: value for name, value in environment.items() if value}
        return cls(
            home=Path(given.get("LOCKGROOVE_HOME", _HOME)).absolute(),
            listen=given.get("LOCKGROOVE_ACQUISITION_LISTEN", _LISTEN),
            config=target_of(given, "config", _CONFIG),
            database=given.get("DATABASE_URL"),
            secret_key=given.get("LOCKGROOVE_SECRET_KEY"),
            previous_secret_key=given.get("LOCKGROOVE_PREVIOUS_SECRET_KEY"),
            secret_key_file=Path(path) if (path := given.get("LOCKGROOVE_SECRET_KEY_FILE")) else None,
            tls=TlsFiles.named(given),
            telemetry=TelemetryOptions.named(given),
        )
