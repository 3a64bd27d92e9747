"""The head of a backup: what it is and which key it wants; it can be read without a key, and not be changed unseen."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

from libs.backup.errors import NotABackup, WrongBackupKey
from libs.backup.sealing import SALT, check_of, key_of_passphrase, key_of_root
from libs.crypto.datakeys import Wrapping
from libs.crypto.rootkey import RootKeys

MAGIC = b"LOCKGROOVE BACKUP 1\n"

_LONGEST = 1 << 16  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What backups are sealed with: the passphrase where there is one, else the root key."""

    roots: RootKeys | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What everybody may read of a backup. `root_key_id` is what `GET /api/v1/encryption` calls so."""

    made_at: str
    release: str
    dialect: str
    revisions: Mapping[str, str]
    sealed_by: Literal["root key", "passphrase"]
    root_key_id: str
    salt: str
    check: str

    @property
    def made(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.made_at)

    def encoded(self) -> bytes:
        """As it stands in the file."""
        document = json.dumps(asdict(self)).encode()
        return MAGIC + len(document).to_bytes(4, "big") + document


def new_header(
    secrets: Secrets, *, now: datetime, release: str, dialect: str, revisions: Mapping[str, str]
) -> tuple[Header, bytes]:
    """The header of a new backup, and its key."""
    salt = os.urandom(SALT)
    if secrets.passphrase:
        key = key_of_passphrase(secrets.passphrase, salt)
    else:
        assert secrets.roots is not None
        key = key_of_root(secrets.roots.current, salt)
    header = Header(
        made_at=now.astimezone(UTC).isoformat(timespec="seconds"),
        release=release,
        dialect=dialect,
        revisions=dict(revisions),
        sealed_by="passphrase" if secrets.passphrase else "root key",
        root_key_id=Wrapping(secrets.roots).root_key_id if secrets.roots else "",
        salt=salt.hex(),
        check=check_of(key),
    )
    return header, key


def read_header(file: IO[bytes]) -> Header:
    """The header, with the file left behind it. Raises NotABackup."""
    if file.read(len(MAGIC)) != MAGIC:
        raise NotABackup(f"{file.name} is not a backup of this format")
    length = int.from_bytes(file.read(4), "big")
    try:
        if length > _LONGEST:
            raise ValueError(length)
        return _sound(Header(**json.loads(file.read(length))))
    except (ValueError, TypeError, AttributeError) as error:
        raise NotABackup(f"{file.name} is damaged: its first lines cannot be read") from error


def _sound(header: Header) -> Header:
    """What was written is; what somebody else wrote may be anything. Raises ValueError, TypeError or AttributeError."""
    told = {**asdict(header), **header.revisions}
    told.pop("revisions")
    if wrong := [name for name, value in told.items() if not (isinstance(value, str) and value.isprintable())]:
        raise TypeError(wrong)
    bytes.fromhex(header.salt)
    if header.made.tzinfo is None:
        raise ValueError(header.made_at)
    return header


def header_of(path: Path) -> Header:
    """The header of a file. Raises NotABackup."""
    try:
        with path.open("rb") as file:
            return read_header(file)
    except OSError as error:
        raise NotABackup(f"{path} cannot be read: {error.strerror}") from error


def key_of(header: Header, secrets: Secrets, name: str) -> bytes:
    """The key that opens a backup. Raises WrongBackupKey, which says which one it wants."""
    salt = bytes.fromhex(header.salt)
    if header.sealed_by == "passphrase":
        return _of_passphrase(header, secrets, salt, name)
    for root in secrets.roots.all if secrets.roots else ():
        if check_of(key := key_of_root(root, salt)) == header.check:
            return key
    known = f"the one here is {Wrapping(secrets.roots).root_key_id}" if secrets.roots else "there is none here"
    raise WrongBackupKey(
        f"{name} wants the root key with the id {header.root_key_id}, and {known}: put the secret.key of its time into"
        " the data folder, or set LOCKGROOVE_SECRET_KEY; nothing was changed",
        metadata={"root_key_id": header.root_key_id},
    )


def _of_passphrase(header: Header, secrets: Secrets, salt: bytes, name: str) -> bytes:
    if not secrets.passphrase:
        raise WrongBackupKey(f"{name} is sealed with a passphrase: name its file in LOCKGROOVE_BACKUP_PASSPHRASE_FILE")
    key = key_of_passphrase(secrets.passphrase, salt)
    if check_of(key) != header.check:
        raise WrongBackupKey(f"the passphrase in LOCKGROOVE_BACKUP_PASSPHRASE_FILE does not open {name}")
    return key
