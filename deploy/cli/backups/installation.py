"""What is backed up and restored: the databases of one installation, its root key, and the folder for backups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from deploy.cli.schema.databases import SERVICES, ServiceDatabase
from libs.backup.folder import backup_folder
from libs.backup.header import Secrets
from libs.crypto.rootkey import FILE, FILE_VARIABLE, PREVIOUS_VARIABLE, VARIABLE, UnusableKey, load_root_keys
from libs.errors import InvalidArgument

DAYS_VARIABLE = "LOCKGROOVE_BACKUP_DAYS"
KEEP_VARIABLE = "LOCKGROOVE_BACKUP_KEEP"
PASSPHRASE_VARIABLE = "LOCKGROOVE_BACKUP_PASSPHRASE_FILE"  # noqa: S105 (a name)
KEEPERS = ("config", "webhooks")
"""The services whose databases hold data keys, sealed under the root key."""

_DAYS, _KEEP = 30, 48
_SHORTEST_PASSPHRASE = 12  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One of them; it is told by the environment, as services are."""

    home: Path
    folder: Path
    days: int
    keep: int
    databases: Sequence[ServiceDatabase] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Installation":
        """As the environment says. Raises InvalidArgument."""
        given = {name: value for name, value in environment.items() if value}
        home = Path(given.get("LOCKGROOVE_HOME", "data")).absolute()
        return cls(
            home=home,
            folder=backup_folder(home, given),
            days=_number(given, DAYS_VARIABLE, _DAYS),
            keep=_number(given, KEEP_VARIABLE, _KEEP),
            databases=[ServiceDatabase.of(service, given) for service in SERVICES],
            environment=given,
        )

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return "sqlite" if self.databases[0].file else "postgresql"

    @property
    def release(self) -> str:
        """The release that this code is."""
        return version("lockgroove")

    @property
    def key_file(self) -> Path:
        """Where the root key is, unless it is configured or mounted."""
        return self.home / FILE

    def has_key(self) -> bool:
        """Whether there is a root key, without making one."""
        return self.key_is_given() or self.key_file.exists()

    def key_is_given(self) -> bool:
        """Whether the root key is configured or mounted: then it is kept elsewhere."""
        return bool(self.environment.get(VARIABLE) or self.environment.get(FILE_VARIABLE))

    def secrets(self) -> Secrets:
        """What backups are sealed with. Raises UnusableKey or InvalidArgument."""
        given = self.environment
        if not self.has_key():
            return Secrets(passphrase=self._passphrase())
        mounted = given.get(FILE_VARIABLE)
        roots = load_root_keys(
            self.home, given.get(VARIABLE), given.get(PREVIOUS_VARIABLE), mounted=Path(mounted) if mounted else None
        )
        return Secrets(roots=roots, passphrase=self._passphrase())

    def secrets_to_seal(self) -> Secrets:
        """The same; a root key must be there. Raises UnusableKey or InvalidArgument."""
        if not self.has_key():
            raise UnusableKey(f"{self.key_file} is not there: is LOCKGROOVE_HOME right?")
        return self.secrets()

    def _passphrase(self) -> str | None:
        if not (name := self.environment.get(PASSPHRASE_VARIABLE)):
            return None
        try:
            passphrase = Path(name).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidArgument.field(PASSPHRASE_VARIABLE, f"{name} cannot be read") from error
        if len(passphrase) < _SHORTEST_PASSPHRASE:
            raise InvalidArgument.field(
                PASSPHRASE_VARIABLE, f"{name} must hold {_SHORTEST_PASSPHRASE} characters or more"
            )
        return passphrase


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    told = environment.get(name, str(default))
    if not (told.isascii() and told.isdigit()) or not 0 < int(told) <= 100_000:
        raise InvalidArgument.field(name, "must be a number from 1 to 100000")
    return int(told)
