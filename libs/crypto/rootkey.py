"""The root key of an installation, and those before it: configured, mounted, or made once and kept in the data folder.

A file holds one key a line: the first is the current one, further lines are previous ones, which stay known while the
current one is rolled out.
"""

import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from libs.crypto import keyfile
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
        keys = _mounted(mounted)
    else:
        keys = _kept(home)
    if previous:
        keys.append(_checked(previous, PREVIOUS_VARIABLE))
    current, *others = dict.fromkeys(keys)
    return RootKeys(current=current, previous=tuple(others))


def replace_root_key(home: Path) -> None:
    """Puts a new root key first in `<home>/secret.key`, and leaves the one in force behind it.

    Raises UnusableKey, also where a previous one is still there: `forget_previous_root_key` comes first.
    """
    path = home / FILE
    if not path.exists():
        raise _unusable(str(path), "is not there: the first start makes it, and a root key along with it")
    current, *others = _private(path)
    if others:
        raise _unusable(str(path), "holds a previous root key still: run `lockgroove keys forget-previous` first")
    _replace(path, [_new(), current.decode()])


def forget_previous_root_key(home: Path) -> None:
    """Leaves nothing but the first key in `<home>/secret.key`. Raises UnusableKey."""
    path = home / FILE
    current, *_ = _private(path)
    _replace(path, [current.decode()])


def _kept(home: Path) -> list[bytes]:
    path = home / FILE
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            keyfile.make(path, [_new()])
    except OSError as error:
        raise _unusable(str(path), f"cannot be read or made: {error.strerror}") from error
    return _private(path)


def _replace(path: Path, lines: list[str]) -> None:
    try:
        keyfile.replace(path, lines)
    except OSError as error:
        raise _unusable(str(path), f"cannot be written: {error.strerror}; it is as it was") from error


def _new() -> str:
    return secrets.token_urlsafe(32)


def _private(path: Path) -> list[bytes]:
    """The keys of a file that nobody but its owner may use."""
    return _read(path, _OTHERS, f"is open to other users: run `chmod 600 {path}`")


def _mounted(path: Path) -> list[bytes]:
    """The keys of a file that a platform mounts: who may read it is the platform's affair, often everybody."""
    return _read(path, _OTHERS_WRITE, "can be changed by other users: mount it for reading only")


def _read(path: Path, denied: int, why: str) -> list[bytes]:
    try:
        if path.stat().st_mode & denied:
            raise _unusable(str(path), why)
        lines = keyfile.read(path)
    except UnicodeDecodeError as error:
        raise _unusable(str(path), "holds something else than a key") from error
    except OSError as error:
        raise _unusable(str(path), f"cannot be read: {error.strerror}") from error
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
