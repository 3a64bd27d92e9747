"""Secrets in files: `NAME_FILE` names one whose text becomes the variable NAME, as with Docker's own secrets.

The root key and the certificates are not here: their own variables end in _FILE, and services read those files.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

SECRETS = (
    "DATABASE_URL",
    "LASTFM_API_KEY",
    "LASTFM_API_SECRET",
    "LIDARR_API_KEY",
    "LIDARR_WEBHOOK_SECRET",
    "LOCKGROOVE_ADMIN_KEY",
    "REDIS_URL",
    "SLSKD_API_KEY",
    "SLSKD_WEBHOOK_SECRET",
    "SOULSEEK_PASSWORD",
    "SPOTIFY_CLIENT_SECRET",
)

_LONGEST = 10_000  # characters


def with_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with the text of every file that can be read, and without the names of the files."""
    files = {name: path for name, path in _files(environment).items() if not _problem(name, path, environment)}
    texts = {name: _text(path) for name, path in files.items()}
    names = {f"{name}_FILE" for name in SECRETS}
    return {**{name: value for name, value in environment.items() if name not in names}, **texts}


def problems(environment: Mapping[str, str]) -> Iterator[str]:
    """Which files cannot be used; never what is in them."""
    for name, path in _files(environment).items():
        if why := _problem(name, path, environment):
            yield f"{name}_FILE: {path} {why}"


def _files(environment: Mapping[str, str]) -> dict[str, Path]:
    return {name: Path(path) for name in SECRETS if (path := environment.get(f"{name}_FILE"))}


def _problem(name: str, path: Path, environment: Mapping[str, str]) -> str | None:
    if environment.get(name):
        return f"is named, and {name} is set, too: take one of them away"
    try:
        text = _text(path)
    except OSError as error:
        return f"cannot be read by the user of the container: {error.strerror}"
    except UnicodeDecodeError:
        return "holds something else than text"
    if not text or len(text) > _LONGEST or not text.isprintable():
        return "holds no secret: one line of text"
    return None


def _text(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(_LONGEST + 2).strip()
