"""What the webhooks service reads from its environment, once, at start."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from libs.addresses import local_url, target_of
from libs.rpc.tlsfiles import TlsFiles
from libs.telemetry.options import TelemetryOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the service listens, keeps its data and finds its peers; what may hold a secret has no repr.

    `gateway` is where Lidarr delivers unless the setting `webhooks.public_url` names another address.
    """

    home: Path
    listen: str = "127.0.0.1:50052"
    acquisition: str = "127.0.0.1:50051"
    config: str = "127.0.0.1:50053"
    gateway: str = "http://127.0.0.1:3006"
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
            home=Path(given.get("LOCKGROOVE_HOME", "data")).absolute(),
            listen=given.get("LOCKGROOVE_WEBHOOKS_LISTEN", "127.0.0.1:50052"),
            acquisition=target_of(given, "acquisition", "127.0.0.1:50051"),
            config=target_of(given, "config", "127.0.0.1:50053"),
            gateway=local_url(given.get("LOCKGROOVE_HOST", "127.0.0.1"), given.get("LOCKGROOVE_PORT", "3006")),
            telemetry=TelemetryOptions.named(given),
            database=given.get("DATABASE_URL"),
            secret_key=given.get("LOCKGROOVE_SECRET_KEY"),
            previous_secret_key=given.get("LOCKGROOVE_PREVIOUS_SECRET_KEY"),
            secret_key_file=Path(path) if (path := given.get("LOCKGROOVE_SECRET_KEY_FILE")) else None,
            tls=TlsFiles.named(given),
        )
