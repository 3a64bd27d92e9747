"""The secrets of a suite as canaries: whatever it says while a test drives it, none of them is in it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from libs.crypto import service_token

_SECRETS = (
    "DATABASE_URL",
    "LASTFM_API_KEY",
    "LASTFM_API_SECRET",
    "LIDARR_API_KEY",
    "LIDARR_WEBHOOK_SECRET",
    "LOCKGROOVE_ADMIN_KEY",
    "LOCKGROOVE_PREVIOUS_SECRET_KEY",
    "LOCKGROOVE_SECRET_KEY",
    "SLSKD_API_KEY",
    "SLSKD_WEBHOOK_SECRET",
    "SOULSEEK_PASSWORD",
    "SPOTIFY_CLIENT_SECRET",
)
_SHORTEST = 12  # characters: less is found by chance


class Leaks:
    """Looks for the secrets of an environment, of its root key, and of what is made of that."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        given = [environment[name] for name in _SECRETS if name in environment]
        self._home = Path(environment["LOCKGROOVE_HOME"])
        self._secrets = [secret for secret in given if len(secret) >= _SHORTEST]
        self._roots = [environment[name] for name in _SECRETS if name.endswith("SECRET_KEY") and name in environment]
        self._found: list[str] = []

    def look(self, place: str, text: str) -> None:
        """Notes each secret that is in the text."""
        self._found += [f"{place}: {secret[:4]}..." for secret in self._secrets if secret in text]

    def look_through(self, place: str, lines: Iterable[str]) -> None:
        """As `look`, after the fact: for the root key that the first start made, too."""
        file = self._home / "secret.key"
        roots = [*self._roots, *(file.read_text().split() if file.exists() else [])]
        self._secrets += [*roots, *(service_token(root.encode()) for root in roots)]
        self.look(place, "\n".join(lines))

    def check(self) -> None:
        """Fails where a secret was found."""
        assert not self._found, f"secrets were told: {self._found}"
