"""The root key of an installation, and those before it: configured, mounted, or made once and kept in the data folder.

A file holds one key a line: the first is the current one, further lines are previous ones, which stay known while the
current one is rolled out.
"""

import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from libs.crypto.derivation import service_token
from libs.errors import FailedPrecondition

FILE = "secret.key"
SHORTEST = 32  # characters
VARIABLE = "LOCKGROOVE_SECRET_KEY"
PREVIOUS_VARIABLE = "LOCKGROOVE_PREVIOUS_SECRET_KEY"
FILE_VARIABLE = "LOCKGROOVE_SECRET_KEY_FILE"

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class UnusableKey(FailedPrecondition):
    """The root key, or its file, cannot be used."""

    reason = "UNUSABLE_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootKeys:
    """The root key, and those before it that are known still, newest first."""

    current: bytes = field(repr=False)
    previous: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def all(self) -> tuple[bytes, ...]:
        """Every root key that is known, the current one first."""
        return (self.current, *self.previous)

    @property
    def shared(self) -> bytes:
        """The one that every process of the suite knows, also those that have not been restarted yet: the oldest."""
        return self.all[-1]

    @property
    def service_token(self) -> str:
        """The token that other services accept, whether they know the current root key yet or not."""
        return service_token(self.shared)

    @property
    def service_tokens(self) -> tuple[str, ...]:
        """The tokens that are accepted from other services."""
        return tuple(map(service_token, self.all))


def load_root_keys(
    home: Path, configured: str | None = None, previous: str | None = None, *, mounted: Path | None = None
) -> RootKeys:
    """The configured key, or those of the mounted file, or those of `<home>/secret.key`, which the first start makes.

    `previous` is a further one that is known still. Safe when several processes start at once: one of them makes the
    key, all of them get it. Raises UnusableKey.
    """
    configured, previous = (configured or "").strip(), (previous or "").strip()
    if configured and mounted:
        raise _unusable(VARIABLE, f"is set, and {FILE_VARIABLE} too: take one of them away")
    if configured:
        keys = [_checked(configured, VARIABLE)]
    elif mounted:
        keys = _read(mounted, open_to=_OTHERS_WRITE)  # who may read a mounted secret is the platform's affair
    else:
        keys = _kept(home)
    if previous:
        keys.append(_checked(previous, PREVIOUS_VARIABLE))
    current, *others = dict.fromkeys(keys)
    return RootKeys(current=current, previous=tuple(others))


def _kept(home: Path) -> list[bytes]:
    path = home / FILE
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make(path)
    except OSError as error:
        raise _unusable(str(path), f"cannot be read or made: {error.strerror}") from error
    return _read(path, open_to=_OTHERS)


def _make(path: Path) -> None:
    """Links a whole file: nobody ever sees half a key, and the first one wins."""
    beside = _written_beside(path, [new_root_key()])
    try:
        with suppress(FileExistsError):
            os.link(beside, path)
        _sync_folder(path.parent)
    finally:
        beside.unlink()


def _written_beside(path: Path, keys: list[str]) -> Path:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{key}\n" for key in keys)
        file.flush()
        os.fsync(file.fileno())
    return beside


def new_root_key() -> str:
    """A root key, as text."""
    return secrets.token_urlsafe(32)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, *, open_to: int) -> list[bytes]:
    try:
        if path.stat().st_mode & open_to:
            raise _unusable(str(path), f"is open to other users: run `chmod 600 {path}`")
        lines = [line for line in path.read_text("ascii").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise _unusable(str(path), "holds something else than a key") from error
    except OSError as error:
        raise _unusable(str(path), f"cannot be read or made: {error.strerror}") from error
    return [_checked(line, str(path)) for line in lines or [""]]


def _checked(text: str, origin: str) -> bytes:
    key = text.strip()
    if len(key) < SHORTEST or not key.isascii() or not key.isprintable() or " " in key:
        raise _unusable(
            origin, f"does not hold a key: it takes at least {SHORTEST} characters of ASCII on one line, without spaces"
        )
    return key.encode()


def _unusable(origin: str, what: str) -> UnusableKey:
    return UnusableKey(f"{origin} {what}", metadata={"origin": origin})
