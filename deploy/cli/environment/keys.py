"""The keys of the installation can be used: the administrator's, and the root key."""

from collections.abc import Iterator
from pathlib import Path

from deploy.cli.environment.finding import Environment, Finding, errors
from libs.crypto.rootkey import FILE, RootKeys, load_root_keys
from libs.errors import AppError
from services.config.domain.keys import given_admin_key
from services.config.settings import Settings


def admin_key(environment: Environment) -> Iterator[Finding]:
    """The administrator's key can be sent, and is long enough."""
    if key := environment.get("LOCKGROOVE_ADMIN_KEY"):
        try:
            given_admin_key(key)
        except AppError as fault:
            yield from errors(fault, "LOCKGROOVE_ADMIN_KEY")


def root_key(environment: Environment) -> Iterator[Finding]:
    """The root key can be used; none yet is fine, for the first start makes one."""
    try:
        known_root_keys(environment)
    except AppError as fault:
        yield from errors(fault, fault.metadata.get("origin", "LOCKGROOVE_SECRET_KEY"))


def known_root_keys(environment: Environment) -> RootKeys | None:
    """The root keys; None where the first start has yet to make one. Raises UnusableKey."""
    read = Settings.from_environment(environment)
    if not (read.secret_key or read.secret_key_file) and _is_missing(read.home / FILE):
        return None
    return load_root_keys(read.home, read.secret_key, read.previous_secret_key, mounted=read.secret_key_file)


def _is_missing(file: Path) -> bool:
    """Whether it is certainly not there: of one that cannot be looked at, nobody knows."""
    try:
        file.stat()
    except OSError as fault:
        return isinstance(fault, FileNotFoundError)
    return False
