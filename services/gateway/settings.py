"""What the gateway reads from its environment, once, at start."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from libs.addresses import target_of
from libs.errors import InvalidArgument
from libs.rpc.tlsfiles import TlsFiles
from libs.telemetry.options import TelemetryOptions
from services.gateway.http.basepath import is_base_path

_HIGHEST_PORT = 65535
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the gateway listens and where the services are; what may hold a secret has no repr."""

    home: Path
    host: str = "127.0.0.1"
    port: int = 3006
    base_path: str = ""
    acquisition: str = "127.0.0.1:50051"
    webhooks: str = "127.0.0.1:50052"
    config: str = "127.0.0.1:50053"
    telemetry: TelemetryOptions = field(default_factory=TelemetryOptions)
    secret_key: str | None = field(default=None, repr=False)
    previous_secret_key: str | None = field(default=None, repr=False)
    secret_key_file: Path | None = None
    redis_url: str | None = field(default=None, repr=False)
    redis_timeout: timedelta = timedelta(milliseconds=50)
    tls: TlsFiles = field(default_factory=TlsFiles)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """The settings that the environment names; an empty variable counts as unset. Raises InvalidArgument."""
        given = {name: value for name, value in environment.items() if value}
        return cls(
            home=Path(given.get("LOCKGROOVE_HOME", "data")).absolute(),
            host=given.get("LOCKGROOVE_HOST", "127.0.0.1"),
            port=_port(given.get("LOCKGROOVE_PORT", "3006")),
            base_path=_base_path(given.get("LOCKGROOVE_BASE_PATH", "")),
            acquisition=target_of(given, "acquisition", "127.0.0.1:50051"),
            webhooks=target_of(given, "webhooks", "127.0.0.1:50052"),
            config=target_of(given, "config", "127.0.0.1:50053"),
            telemetry=TelemetryOptions.named(given),
            secret_key=given.get("LOCKGROOVE_SECRET_KEY"),
            previous_secret_key=given.get("LOCKGROOVE_PREVIOUS_SECRET_KEY"),
            secret_key_file=Path(path) if (path := given.get("LOCKGROOVE_SECRET_KEY_FILE")) else None,
            redis_url=_redis_url(given.get("REDIS_URL")),
            tls=TlsFiles.named(given),
        )


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= _HIGHEST_PORT:
        return int(text)
    raise InvalidArgument.field("LOCKGROOVE_PORT", f"{text!r} is not a port: a number up to {_HIGHEST_PORT}")


def _redis_url(url: str | None) -> str | None:
    if url is None or url.startswith(_REDIS_SCHEMES):
        return url
    # It may hold a password: it is not repeated.
    raise InvalidArgument.field("REDIS_URL", "must begin with redis://, rediss:// or unix://")


def _base_path(text: str) -> str:
    path = text.rstrip("/")
    if path and not is_base_path(path):
        rule = "like /lockgroove, of letters, digits and ._~-, and not below /api"
        raise InvalidArgument.field("LOCKGROOVE_BASE_PATH", f"{text!r} is not a base path: {rule}")
    return path
