"""Records: sources as they are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.webhooks.domain.source import BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What people say about a source; `verification` is its proto as JSON."""

    name: str
    display_name: str = ""
    disabled: bool = False
    verification: Mapping[str, Any] = field(default_factory=dict)
    dedup_paths: tuple[str, ...] = ()
    type_path: str = ""
    json_required: bool = False

    @property
    def built_in(self) -> bool:
        """Whether the source belongs to the suite."""
        return self.name in BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSecret:
    """A secret that only the vault can read."""

    id: str
    sealed: bytes = field(repr=False)
    fingerprint: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """A secret to be kept."""

    id: str
    text: str = field(repr=False)
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A source as it is now; its valid `secrets`, newest first."""

    draft: Draft
    secrets: Sequence[StoredSecret]
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def etag(self) -> str:
        """Changes with every change of the source; the quotes belong to it (AIP-154)."""
        return f'"{self.version}"'
