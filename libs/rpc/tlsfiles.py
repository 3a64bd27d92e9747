"""Where a process finds its certificate for mutual TLS, as its environment says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CERTIFICATE = "LOCKGROOVE_TLS_CERT_FILE"
KEY = "LOCKGROOVE_TLS_KEY_FILE"
AUTHORITY = "LOCKGROOVE_TLS_CA_FILE"
SERVER_NAME = "LOCKGROOVE_TLS_SERVER_NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where the certificate of this process is (PEM, with its chain), its key, and the CA of all services.

    `server_name` is what servers prove to be, where that is not the host that they are called at.
    """

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    server_name: str | None = None

    @classmethod
    def named(cls, given: Mapping[str, str]) -> "TlsFiles":
        """As the variables of the environment name them."""
        return cls(
            certificate=_path(given.get(CERTIFICATE)),
            key=_path(given.get(KEY)),
            authority=_path(given.get(AUTHORITY)),
            server_name=given.get(SERVER_NAME),
        )

    @property
    def by_variable(self) -> dict[str, Path | None]:
        """The three, each by its variable."""
        return {CERTIFICATE: self.certificate, KEY: self.key, AUTHORITY: self.authority}


def _path(text: str | None) -> Path | None:
    return Path(text).absolute() if text else None
