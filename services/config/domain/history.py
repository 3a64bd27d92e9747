"""The history of settings: who changed what when, and what was stored right after each change."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from libs.errors import FailedPrecondition, NotFound
from services.config.domain.catalogue import SettingSpec
from services.config.domain.values import Stored


class Origin(Enum):
    """How a change came about."""

    UPDATE = "UPDATE"
    ROLLBACK = "ROLLBACK"
    IMPORT = "IMPORT"


class RevisionUnknown(NotFound):
    """There is no such revision, or it is no longer kept."""

    reason = "REVISION_UNKNOWN"


class SecretsLost(FailedPrecondition):
    """Secrets of then cannot be brought back; `metadata["settings"]` names them."""

    reason = "SECRETS_LOST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happened to one setting: a value, a secret's fingerprint, or neither when it went back to its fallback."""

    path: str
    value: str | None = None
    fingerprint: str | None = None

    @property
    def reset(self) -> bool:
        """Whether it went back to the environment or the default."""
        return self.value is None and self.fingerprint is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One change of settings. Releases before this one did not note the origin."""

    number: int
    actor: str
    change_time: datetime
    origin: Origin | None
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What was stored right after a revision; `lost` are fingerprints of secrets that cannot be read any more."""

    texts: Mapping[str, str] = field(repr=False)
    lost: Mapping[str, str]

    def wanted(
        self, specs: Iterable[SettingSpec], held: Stored, fingerprint: Callable[[str, str], str]
    ) -> dict[str, str | None]:
        """What these settings have to be for the past to be there again: a text, or None for the fallback.

        A lost secret is no loss while what is held has its fingerprint. Raises SecretsLost for the others.
        """
        known = {path: text for path, text in held.texts.items() if path in self.lost}
        kept = {path: text for path, text in known.items() if fingerprint(path, text) == self.lost[path]}
        names = {spec.path: spec.json_path for spec in specs}
        if gone := sorted(self.lost.keys() - kept.keys()):
            named = ", ".join(names[path] for path in gone)
            raise SecretsLost(
                f"the secrets of then are no longer known of {named}: set them by hand, or go back to another revision",
                metadata={"settings": named},
            )
        return {path: self.texts.get(path, kept.get(path)) for path in names}


def revision_context(path: str, revision: int) -> str:
    """What the secret of a revision is sealed for."""
    return f"{path}@{revision}"
