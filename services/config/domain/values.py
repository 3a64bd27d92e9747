"""Values in force: the database's, else the environment's, else the default, each with its source."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from services.config.domain.catalogue import Catalogue


class Source(Enum):
    """Where a value in force comes from."""

    DATABASE = "DATABASE"
    ENVIRONMENT = "ENVIRONMENT"
    DEFAULT = "DEFAULT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value in force. Its text may be a secret, hence no repr."""

    text: str = field(repr=False)
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the database holds: texts by path, at one version; `unreadable` are paths whose value cannot be opened."""

    version: int
    texts: Mapping[str, str] = field(repr=False)
    unreadable: frozenset[str] = frozenset()

    def changed(self, changes: Mapping[str, str | None]) -> "Stored":
        """What it holds after these changes (None: forgotten), at the same version."""
        after = {**self.texts, **changes}
        return replace(
            self,
            texts={path: text for path, text in after.items() if text is not None},
            unreadable=self.unreadable - changes.keys(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """The settings that the suite obeys, at one version; settings without a value are left out."""

    version: int
    values: Mapping[str, Value]

    @property
    def etag(self) -> str:
        """The version as an entity tag, quotes included (AIP-154)."""
        return f'"{self.version}"'

    @property
    def texts(self) -> dict[str, str]:
        """The texts by path."""
        return {path: value.text for path, value in self.values.items()}

    def at(self, version: int) -> "InForce":
        """The same at another version."""
        return replace(self, version=version)


class Fallbacks:
    """The values of settings that the database does not hold: from the environment, else the default."""

    def __init__(self, catalogue: Catalogue, environment: Mapping[str, str]) -> None:
        defaults = {spec.path: Value(text=spec.default, source=Source.DEFAULT) for spec in catalogue if spec.default}
        given = {path: Value(text=text, source=Source.ENVIRONMENT) for path, text in environment.items()}
        self._values = {**defaults, **given}

    @property
    def texts(self) -> dict[str, str]:
        """The texts by path."""
        return {path: value.text for path, value in self._values.items()}

    def under(self, stored: Stored) -> InForce:
        """The values in force over what the database holds.

        A stored value that cannot be read has no fallback: a secret meant for another place must not be sent instead.
        """
        held = {path: Value(text=text, source=Source.DATABASE) for path, text in stored.texts.items()}
        values = {path: value for path, value in {**self._values, **held}.items() if path not in stored.unreadable}
        return InForce(version=stored.version, values=values)
