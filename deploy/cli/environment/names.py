"""No variable looks like one of ours without being one."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

from deploy.cli.environment.finding import Environment, Finding, warning
from libs.rpc.tlsfiles import AUTHORITY, CERTIFICATE, KEY, SERVER_NAME
from services.config.catalogue import load_catalogue

PROCESS = frozenset(
    {
        "DATABASE_URL",
        "LOCKGROOVE_ACQUISITION_LISTEN",
        "LOCKGROOVE_ACQUISITION_TARGET",
        "LOCKGROOVE_ADMIN_KEY",
        "LOCKGROOVE_BASE_PATH",
        "LOCKGROOVE_CONFIG_LISTEN",
        "LOCKGROOVE_CONFIG_TARGET",
        "LOCKGROOVE_HOME",
        "LOCKGROOVE_HOST",
        "LOCKGROOVE_MIGRATION_BACKUP",
        "LOCKGROOVE_LOG_FORMAT",
        "LOCKGROOVE_PORT",
        "LOCKGROOVE_PREVIOUS_SECRET_KEY",
        "LOCKGROOVE_SECRET_KEY",
        "LOCKGROOVE_SECRET_KEY_FILE",
        "LOCKGROOVE_WEBHOOKS_LISTEN",
        "LOCKGROOVE_WEBHOOKS_TARGET",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG",
        "REDIS_URL",
        CERTIFICATE,
        KEY,
        AUTHORITY,
        SERVER_NAME,
    }
)
"""What processes read at their start, beside the variables of settings."""

COMMANDS = frozenset(
    {
        "LOCKGROOVE_API_KEY",
        "LOCKGROOVE_BACKUP_DAYS",
        "LOCKGROOVE_BACKUP_PASSPHRASE_FILE",
        "LOCKGROOVE_BACKUP_KEEP",
        "LOCKGROOVE_BACKUP_PATH",
        "LOCKGROOVE_BACKUP_TIME",
        "LOCKGROOVE_ENV_FILE",
        "LOCKGROOVE_IMAGE",
        "LOCKGROOVE_MINIMUM_DISK_GB",
        "LOCKGROOVE_RELEASE",
        "LOCKGROOVE_RESTART_COMMAND",
        "LOCKGROOVE_STOP_COMMAND",
        "LOCKGROOVE_URL",
    }
)
"""What the command reads, beside what it hands on to processes."""

_OURS = re.compile(r"(LOCKGROOVE|LIDARR|SOULSEEK|SLSKD|LASTFM|SPOTIFY|MUSICBRAINZ|ACQUISITION|WEBHOOK|AUTOMATION)_")
_FOREIGN = re.compile(r".*__|SLSKD_SLSK_")  # what Lidarr and slskd are configured with, often in the same file
_ALIKE = 0.85  # so near to a known name, one with a prefix of its own is meant to be that
_LONGEST_NAME = 100  # characters that are told of a name


def names(environment: Environment) -> Iterator[Finding]:
    """Variables that nobody reads, each with the one that may be meant."""
    known = PROCESS | COMMANDS | {spec.environment for spec in load_catalogue()}
    for name in sorted(environment.keys() - known):
        alike = get_close_matches(name, known, n=1, cutoff=0.0 if _OURS.match(name) else _ALIKE)
        if alike and not _FOREIGN.match(name):
            yield warning(name[:_LONGEST_NAME], f"nothing reads this variable; did you mean {alike[0]}?")
