"""The root key of an installation: configured, or made once and kept in the data folder."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from libs.errors import FailedPrecondition

FILE = "secret.key"
SHORTEST = 32  # characters

_VARIABLE = "LOCKGROOVE_SECRET_KEY"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class UnusableKey(FailedPrecondition):
    """The root key, or its file, cannot be used."""

    reason = "UNUSABLE_KEY"


def load_root_key(home: Path, configured: str | None) -> bytes:
    """The configured key, or else that of `<home>/secret.key`, which is made at the first start (mode 0600).

    Safe when several processes start at once: one of them makes the key, all of them get it. Raises UnusableKey.
    """
    if configured is not None and configured.strip():
        return _checked(configured, _VARIABLE)
    path = home / FILE
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make(path)
        _refuse_open_file(path)
        return _checked(path.read_text("ascii"), str(path))
    except UnicodeDecodeError as error:
        raise _unusable(str(path), "holds something else than a key") from error
    except OSError as error:
        raise _unusable(str(path), f"cannot be read or made: {error.strerror}") from error


def _make(path: Path) -> None:
    """Writes a whole file beside and links it: nobody ever sees half a key, and the first one wins."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(beside, path)
        _sync_folder(path.parent)
    finally:
        beside.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_open_file(path: Path) -> None:
    if path.stat().st_mode & _OTHERS:
        raise _unusable(str(path), f"is open to other users: run `chmod 600 {path}`")


def _checked(text: str, origin: str) -> bytes:
    key = text.strip()
    if len(key) < SHORTEST or not key.isascii() or not key.isprintable() or " " in key:
        raise _unusable(
            origin, f"does not hold a key: it takes at least {SHORTEST} characters of ASCII on one line, without spaces"
        )
    return key.encode()


def _unusable(origin: str, what: str) -> UnusableKey:
    return UnusableKey(f"{origin} {what}", metadata={"origin": origin})
