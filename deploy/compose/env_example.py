"""`python -m deploy.compose.env_example`: every variable that a compose file hands on, explained: `.env.example`."""

import sys
import textwrap
from collections.abc import Iterator
from itertools import groupby

from services.config.catalogue import described, load_catalogue
from services.config.domain.catalogue import SettingSpec

COMPOSE = {
    "LOCKGROOVE_IMAGE": (
        "lockgroove:{version}",
        "The image. A release names its own with its digest: NAME:VERSION@sha256:...",
    ),
    "HOST_CONFIG": ("./data/config", "Folder of the host for databases, keys and backups; on a local disk."),
    "HOST_DOWNLOADS": ("", "Folder of the host where downloads wait for verification. Has to exist."),
    "HOST_MUSIC": ("", "Folder of the host with the library. Has to exist."),
    "HOST_ADDRESS": ("127.0.0.1", "Address of the host where web pages answer; 0.0.0.0 for the whole network."),
    "HOST_PORT": ("3006", "Port of the host for the gateway."),
    "HOST_PEERS_ADDRESS": ("0.0.0.0", "Address of the host where Soulseek's peers reach us, once there is an account."),  # noqa: S104
    "HOST_GRAFANA_PORT": ("3000", "Port of the host for Grafana (compose.full.yaml)."),
    "HOST_PROMETHEUS_PORT": ("9090", "Port of the host for Prometheus (compose.full.yaml)."),
    "HOST_JAEGER_PORT": ("16686", "Port of the host for traces (compose.full.yaml)."),
    "PUID": ("1000", "User that everything runs as, and whose files they are: `id -u`."),
    "PGID": ("1000", "Its group: `id -g`."),
    "UMASK": ("002", "What is taken from the rights of new files; 002 lets the group write, 022 does not."),
    "TZ": ("UTC", "Time zone, such as Europe/Berlin: of backups, clean-up and logs."),
    "MUSIC_READ_ONLY": ("", "true where somebody else puts albums into the library (LIBRARY_OWNER=LIDARR)."),
    "ALLOW_ROOT": ("", "true to allow PUID=0, which is no good idea."),
}
"""What compose files and the entry point read: the default, and what it is for."""

PROCESS = {
    "LOCKGROOVE_ADMIN_KEY": "The administrator's key, 16 characters or more; else the first start prints a new one.",
    "LOCKGROOVE_SECRET_KEY": "The root key, 32 characters or more; made in the data folder else.",
    "LOCKGROOVE_SECRET_KEY_FILE": "A file that holds it.",
    "LOCKGROOVE_PREVIOUS_SECRET_KEY": "The root key before it, while it is replaced.",
    "LOCKGROOVE_LOG_LEVEL": "DEBUG, INFO, WARNING or ERROR.",
    "LOCKGROOVE_LOG_FORMAT": "How lines of the log look: json, or text for people.",
    "LOCKGROOVE_BASE_PATH": "Path of a reverse proxy below which the gateway answers, too: /lockgroove.",
    "DATABASE_URL": "postgresql://user:password@host/database; SQLite in the data folder else.",
    "REDIS_URL": "redis://host:6379, so that several gateways count calls together.",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://host:4317, to send traces there.",
    "OTEL_TRACES_SAMPLER": "Which traces are sent: always_on, always_off, traceidratio or parentbased_traceidratio.",
    "OTEL_TRACES_SAMPLER_ARG": "The part of them, from 0 to 1.",
    "LOCKGROOVE_TLS_CERT_FILE": "Certificate for mutual TLS between services.",
    "LOCKGROOVE_TLS_KEY_FILE": "Its private key.",
    "LOCKGROOVE_TLS_CA_FILE": "The authorities that are trusted.",
    "LOCKGROOVE_TLS_SERVER_NAME": "The name that certificates of services have.",
    "LOCKGROOVE_MIGRATION_BACKUP": "Whether a database is copied before it is migrated.",
    "LOCKGROOVE_BACKUP_PATH": "Where backups go, a folder that the compose file mounts; /config/backups else.",
    "LOCKGROOVE_BACKUP_TIME": "When the daily backup is made, local time; off for never.",
    "LOCKGROOVE_BACKUP_DAYS": "For how many days backups are kept.",
    "LOCKGROOVE_BACKUP_KEEP": "How many backups are kept at most.",
    "LOCKGROOVE_BACKUP_PASSPHRASE_FILE": "A file with the passphrase that backups are sealed with.",
    "LOCKGROOVE_MINIMUM_DISK_GB": "The free space that `lockgroove validate` asks for.",
}
"""What processes and commands read, beside settings, and what a container lets people choose of it."""

PINNED = frozenset(
    {
        "DOWNLOAD_PATH",
        "LOCKGROOVE_ACQUISITION_LISTEN",
        "LOCKGROOVE_ACQUISITION_TARGET",
        "LOCKGROOVE_API_KEY",
        "LOCKGROOVE_CONFIG_LISTEN",
        "LOCKGROOVE_CONFIG_TARGET",
        "LOCKGROOVE_HOME",
        "LOCKGROOVE_HOST",
        "LOCKGROOVE_PORT",
        "LOCKGROOVE_RESTART_COMMAND",
        "LOCKGROOVE_URL",
        "LOCKGROOVE_WEBHOOKS_LISTEN",
        "LOCKGROOVE_WEBHOOKS_TARGET",
        "MUSIC_PATH",
        "SOULSEEK_LISTEN_HOST",
        "SOULSEEK_LISTEN_PORT",
    }
)
"""What the image or a compose file decides, or what has no meaning inside of a container."""

_INTRODUCTION = """\
Copy this to .env beside the compose file, and take the # away where you want something else. Made by
`python -m deploy.compose.env_example`. What is a setting may also be set later, in the running suite. A secret may
lie in a file: NAME_FILE=/run/secrets/... instead of NAME, once the compose file mounts it. A value with $ or # in it
stands between single quotes: compose would replace the one, and take the other for a comment."""
_WIDTH = 118


def example(version: str) -> str:
    """The whole file."""
    return "\n".join(_lines(version)) + "\n"


def _lines(version: str) -> Iterator[str]:
    yield from _said(_INTRODUCTION.replace("\n", " "))
    yield from ("", "# --- The container ---", "")
    for name, (default, meaning) in COMPOSE.items():
        yield from _said(meaning)
        needed = name in ("HOST_DOWNLOADS", "HOST_MUSIC")
        yield f"{name}=" if needed else f"#{name}={default.format(version=version)}"
    yield from ("", "# --- The processes ---", "")
    for name, meaning in PROCESS.items():
        yield from _said(meaning)
        yield f"#{name}="
    for subject, specs in groupby(described(load_catalogue()), key=lambda spec: spec.path.partition(".")[0]):
        yield from ("", f"# --- Settings: {subject} ---", "")
        for spec in specs:
            yield from _setting(spec)


def _setting(spec: SettingSpec) -> Iterator[str]:
    if spec.environment not in PINNED:
        yield from _said(spec.help)
        yield f"#{spec.environment}={spec.default}"


def _said(text: str) -> Iterator[str]:
    return (f"# {line}" for line in textwrap.wrap(text, _WIDTH, break_on_hyphens=False, break_long_words=False))


if __name__ == "__main__":
    from deploy.release.version import declared_version

    sys.stdout.write(example(declared_version()))
