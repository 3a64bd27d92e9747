"""`lockgroove validate`: what is wrong with the environment, all of it at once, before anything is started.

A check looks at the environment as the suite would read it, and changes nothing. No finding tells a secret.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path

from libs.addresses import host_and_port, is_loopback
from libs.crypto.rootkey import FILE, load_root_keys
from libs.errors import AppError
from libs.rpc.tls import open_certificates
from libs.rpc.tlsfiles import AUTHORITY, CERTIFICATE, KEY, SERVER_NAME, TlsFiles
from libs.sql.url import database_url
from libs.telemetry.logs import level_number
from services.acquisition.settings import Settings as AcquisitionSettings
from services.config.catalogue import load_catalogue
from services.config.domain.environment import BadEnvironment, read_environment
from services.config.domain.keys import given_admin_key
from services.config.rules import ProtoRules
from services.config.settings import Settings as ConfigSettings
from services.gateway.settings import Settings as GatewaySettings
from services.webhooks.settings import Settings as WebhooksSettings

PROCESS = frozenset(
    {
        "DATABASE_URL",
        "LOCKGROOVE_ACQUISITION_LISTEN",
        "LOCKGROOVE_ADMIN_KEY",
        "LOCKGROOVE_BASE_PATH",
        "LOCKGROOVE_CONFIG_LISTEN",
        "LOCKGROOVE_HOME",
        "LOCKGROOVE_HOST",
        "LOCKGROOVE_LOG_LEVEL",
        "LOCKGROOVE_PORT",
        "LOCKGROOVE_PREVIOUS_SECRET_KEY",
        "LOCKGROOVE_SECRET_KEY",
        "LOCKGROOVE_SECRET_KEY_FILE",
        "LOCKGROOVE_WEBHOOKS_LISTEN",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "REDIS_URL",
        CERTIFICATE,
        KEY,
        AUTHORITY,
        SERVER_NAME,
    }
)
"""What processes read at their start, beside the variables of settings."""

_OURS = re.compile(r"(LOCKGROOVE|LIDARR|SOULSEEK|SLSKD|LASTFM|SPOTIFY|MUSICBRAINZ|ACQUISITION|WEBHOOK|AUTOMATION)_")
_FOREIGN = re.compile(r".*__|SLSKD_SLSK_")  # what Lidarr and slskd are configured with, often in the same file
_ALIKE = 0.85  # so near to a known name, one with a prefix of its own is meant to be that
_LONGEST_NAME = 100  # characters that are told of a name

Environment = Mapping[str, str]


class Level(StrEnum):
    """How bad it is: with an error the suite does not start or not work, a warning may be meant so."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong with the `subject`, a variable or a file, and what to do."""

    level: Level
    subject: str
    text: str


Check = Callable[[Environment], Iterable[Finding]]


def findings(environment: Environment) -> list[Finding]:
    """What every check finds; an empty variable counts as unset."""
    given = {name: value for name, value in environment.items() if value}
    return list(dict.fromkeys(finding for check in CHECKS for finding in check(given)))


def as_text(found: Iterable[Finding]) -> str:
    """The findings for people; bytes that are no text, as paths may hold, are shown escaped."""
    lines = [f"{finding.level:<8} {finding.subject}: {finding.text}" for finding in found]
    return "\n".join(lines or ["The environment is fine."]).encode(errors="backslashreplace").decode()


def as_json(found: Iterable[Finding]) -> str:
    """The findings for programs."""
    return json.dumps({"findings": [asdict(finding) for finding in found]})


def settings(environment: Environment) -> Iterator[Finding]:
    """Every setting's variable holds a value that its rules allow."""
    catalogue = load_catalogue()
    try:
        read_environment(catalogue, environment, ProtoRules(catalogue))
    except BadEnvironment as error:
        yield from _errors(error, "")


def names(environment: Environment) -> Iterator[Finding]:
    """No variable looks like one of ours without being one."""
    known = PROCESS | {spec.environment for spec in load_catalogue()}
    for name in sorted(environment.keys() - known):
        alike = get_close_matches(name, known, n=1, cutoff=0.0 if _OURS.match(name) else _ALIKE)
        if alike and not _FOREIGN.match(name):
            text = f"nothing reads this variable; did you mean {alike[0]}?"
            yield Finding(level=Level.WARNING, subject=name[:_LONGEST_NAME], text=text)


def processes(environment: Environment) -> Iterator[Finding]:
    """Every service can read what it is told at its start."""
    for each in (AcquisitionSettings, WebhooksSettings, ConfigSettings, GatewaySettings):
        try:
            level_number(each.from_environment(environment).log_level)
        except AppError as error:
            yield from _errors(error, each.__module__)


def addresses(environment: Environment) -> Iterator[Finding]:
    """Every service has an address to listen on, and no two have the same."""
    taken: dict[str, str] = {}
    for name, address in _listening(environment).items():
        try:
            host_and_port(address)
        except AppError as error:
            yield from _errors(error, name)
        if other := taken.get(address):
            yield Finding(level=Level.ERROR, subject=name, text=f"{other} is the same address: each needs its own")
        taken[address] = name


def transport(environment: Environment) -> Iterator[Finding]:
    """Nobody can listen in: mutual TLS works as it is configured, or gRPC stays on this machine."""
    files = TlsFiles.named(environment)
    try:
        open_certificates(files)
    except AppError as error:
        yield from _errors(error, CERTIFICATE)
    if not any(files.by_variable.values()):
        for name, address in _listening(environment).items():
            if not is_loopback(address):
                text = f"gRPC goes over the network in plain text: set {CERTIFICATE}, {KEY} and {AUTHORITY}"
                yield Finding(level=Level.WARNING, subject=name, text=text)


def admin_key(environment: Environment) -> Iterator[Finding]:
    """The administrator's key can be sent, and is long enough."""
    if key := environment.get("LOCKGROOVE_ADMIN_KEY"):
        try:
            given_admin_key(key)
        except AppError as error:
            yield from _errors(error, "LOCKGROOVE_ADMIN_KEY")


def root_key(environment: Environment) -> Iterator[Finding]:
    """The root key can be used; none yet is fine, for the first start makes one."""
    read = ConfigSettings.from_environment(environment)
    if not (read.secret_key or read.secret_key_file) and _is_missing(read.home / FILE):
        return
    try:
        load_root_keys(read.home, read.secret_key, read.previous_secret_key, mounted=read.secret_key_file)
    except AppError as error:
        yield from _errors(error, error.metadata.get("origin", "LOCKGROOVE_SECRET_KEY"))


def database(environment: Environment) -> Iterator[Finding]:
    """The database is one that the suite can use, as far as its address tells."""
    try:
        database_url(home=Path(), service="config", configured=environment.get("DATABASE_URL"))
    except AppError as error:
        yield from _errors(error, "DATABASE_URL")


CHECKS: tuple[Check, ...] = (settings, names, processes, addresses, transport, admin_key, root_key, database)


def _listening(environment: Environment) -> dict[str, str]:
    """Where gRPC is, by the variable that says so."""
    return {
        "LOCKGROOVE_ACQUISITION_LISTEN": AcquisitionSettings.from_environment(environment).listen,
        "LOCKGROOVE_WEBHOOKS_LISTEN": WebhooksSettings.from_environment(environment).listen,
        "LOCKGROOVE_CONFIG_LISTEN": ConfigSettings.from_environment(environment).listen,
    }


def _is_missing(file: Path) -> bool:
    """Whether it is certainly not there: of one that cannot be looked at, nobody knows."""
    try:
        file.stat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False


def _errors(error: AppError, subject: str) -> Iterator[Finding]:
    """An error's violations, or else the error itself about the subject."""
    for violation in error.violations:
        yield Finding(level=Level.ERROR, subject=violation.field, text=violation.description)
    if not error.violations:
        text = error.message.removeprefix(subject).lstrip(": ")
        yield Finding(level=Level.ERROR, subject=subject, text=text)
