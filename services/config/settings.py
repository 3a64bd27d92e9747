"""What the process is told at its start; the only reader of the environment in this service."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from libs.addresses import local_url, target_of
from libs.rpc.tlsfiles import TlsFiles
from libs.telemetry.options import TelemetryOptions

_HOME = "data"
_LISTEN = "127.0.0.1:50053"
_ACQUISITION = "127.0.0.1:50051"
_WEBHOOKS = "127.0.0.1:50052"
_GATEWAY = "http://127.0.0.1:3006"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to run this process; what may hold a secret has no repr.

    `environment` are all variables: the fallbacks of settings are looked up in it, by the names in the catalogue.
    """

    home: Path
    listen: str = _LISTEN
    acquisition: str = _ACQUISITION
    webhooks: str = _WEBHOOKS
    gateway: str = _GATEWAY
    telemetry: TelemetryOptions = field(default_factory=TelemetryOptions)
    database: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    previous_secret_key: str | None = field(default=None, repr=False)
    secret_key_file: Path | None = None
    tls: TlsFiles = field(default_factory=TlsFiles)
    admin_key: str | None = field(default=None, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """As the environment says; an empty variable counts as unset."""
        given = {name: value for name, value in environ.items() if value}
        return cls(
            home=Path(given.get("LOCKGROOVE_HOME", _HOME)).absolute(),
            listen=given.get("LOCKGROOVE_CONFIG_LISTEN", _LISTEN),
            acquisition=target_of(given, "acquisition", _ACQUISITION),
            webhooks=target_of(given, "webhooks", _WEBHOOKS),
            gateway=local_url(given.get("LOCKGROOVE_HOST", "127.0.0.1"), given.get("LOCKGROOVE_PORT", "3006")),
            telemetry=TelemetryOptions.named(given),
            database=given.get("DATABASE_URL"),
            secret_key=given.get("LOCKGROOVE_SECRET_KEY"),
            previous_secret_key=given.get("LOCKGROOVE_PREVIOUS_SECRET_KEY"),
            secret_key_file=Path(path) if (path := given.get("LOCKGROOVE_SECRET_KEY_FILE")) else None,
            tls=TlsFiles.named(given),
            admin_key=given.get("LOCKGROOVE_ADMIN_KEY"),
            environment=given,
        )
