"""Settings as a document: taken out here, put in elsewhere, whole or not at all."""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from libs.errors import FailedPrecondition, InvalidArgument
from services.config.domain.catalogue import SettingSpec, unknown_setting
from services.config.domain.values import Stored

FORMAT = 1

_LONGEST_NAME = 100  # characters of an unknown name that are told


class DamagedDocument(InvalidArgument):
    """The document is not what was exported."""

    reason = "DAMAGED_DOCUMENT"


class NewerDocument(InvalidArgument):
    """A newer release made the document."""

    reason = "NEWER_DOCUMENT"


class PassphraseNeeded(InvalidArgument):
    """The document holds secrets, and no passphrase was given."""

    reason = "PASSPHRASE_NEEDED"


class WrongPassphrase(InvalidArgument):
    """The passphrase does not open the secrets of the document."""

    reason = "WRONG_PASSPHRASE"


class SettingsUnreadable(FailedPrecondition):
    """Stored values cannot be read, so that a document without them would not be whole."""

    reason = "SETTINGS_UNREADABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecrets:
    """Secrets under a passphrase: scrypt with this salt, N = 2 to the power of `cost`, r = 8, p = 1; AES-256-GCM."""

    salt: bytes
    cost: int
    nonce: bytes
    ciphertext: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Stored values by their paths in JSON spelling. Without `secrets` it says nothing about secrets."""

    format: int = FORMAT
    export_time: datetime | None
    values: Mapping[str, str] = field(repr=False)
    secrets: SealedSecrets | None = None
    checksum: bytes = b""

    @property
    def associated(self) -> bytes:
        """What the secrets are authenticated with: all of the document but themselves."""
        assert self.secrets is not None
        return replace(self, secrets=replace(self.secrets, ciphertext=b"")).canonical

    @property
    def canonical(self) -> bytes:
        """All of it but the checksum, in its one spelling: JSON with sorted keys, in ASCII."""
        spelling = {
            "format": self.format,
            "exportTime": self.export_time and self.export_time.isoformat(timespec="microseconds"),
            "values": dict(self.values),
            "secrets": self.secrets and _spelling(self.secrets),
        }
        return json.dumps(spelling, sort_keys=True, separators=(",", ":")).encode()

    def summed(self) -> "Document":
        """The document with its checksum."""
        return replace(self, checksum=sha256(self.canonical).digest())

    def check(self) -> None:
        """Raises NewerDocument and DamagedDocument, the first first: a newer format may be summed differently."""
        if self.format > FORMAT:
            what = f"{self.format} is newer than {FORMAT}, the newest that this release understands: upgrade first"
            raise NewerDocument.field("document.format", what, reason=NewerDocument.reason)
        if self.format != FORMAT or self.checksum != sha256(self.canonical).digest():
            what = "does not fit the document: it was damaged or changed after the export"
            raise DamagedDocument.field("document.checksum", what, reason=DamagedDocument.reason)


def split(stored: Stored, specs: Iterable[SettingSpec], *, with_secrets: bool) -> tuple[dict[str, str], dict[str, str]]:
    """The stored values for a document, and the secrets among them; raises SettingsUnreadable if one is missing."""
    wanted = [spec for spec in specs if with_secrets or not spec.secret]
    if broken := sorted(spec.json_path for spec in wanted if spec.path in stored.unreadable):
        named = ", ".join(broken)
        raise SettingsUnreadable(
            f"what is stored cannot be read of {named}: set it again, or reset it", metadata={"settings": named}
        )
    held = [(spec, stored.texts[spec.path]) for spec in wanted if spec.path in stored.texts]
    values = {spec.json_path: text for spec, text in held if not spec.secret}
    return values, {spec.json_path: text for spec, text in held if spec.secret}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a document holds: its values and its opened secrets, None where it says nothing about secrets."""

    values: Mapping[str, str] = field(repr=False)
    secrets: Mapping[str, str] | None = field(repr=False)

    def places(self, specs: Iterable[SettingSpec]) -> dict[str, str]:
        """Where in the request each setting's value stands."""
        held = {*self.values, *(self.secrets or {})}
        return {spec.path: self._place(spec.json_path) for spec in specs if spec.json_path in held}

    def wanted(self, specs: Iterable[SettingSpec], *, replacing: bool) -> dict[str, str | None]:
        """What is to be stored, None for what is to be forgotten: when replacing, all that the document could hold.

        Raises UnknownSetting for names that mean nothing here.
        """
        known = {spec.json_path: spec for spec in specs}
        texts = {**self.values, **(self.secrets or {})}
        if strange := [name for name in texts if name not in known]:
            raise unknown_setting([(name, self._place(name)) for name in strange], known)
        covered = [spec for spec in known.values() if replacing and (self.secrets is not None or not spec.secret)]
        return {**{spec.path: None for spec in covered}, **{known[name].path: text for name, text in texts.items()}}

    def _place(self, name: str) -> str:
        return f'document.{"values" if name in self.values else "secrets"}["{name[:_LONGEST_NAME]}"]'


def _spelling(secrets: SealedSecrets) -> dict[str, Any]:
    return {
        "salt": b64encode(secrets.salt).decode(),
        "cost": secrets.cost,
        "nonce": b64encode(secrets.nonce).decode(),
        "ciphertext": b64encode(secrets.ciphertext).decode(),
    }
