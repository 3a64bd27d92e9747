"""A backup: one file with copies of all databases, and the manifest that they are checked against.

backup = header, sealed stream of zstandard of tar: manifest.json, a copy of each database, perhaps secret.key
"""

import json
import os
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import IO, cast

import zstandard

from libs.backup.errors import Damaged
from libs.backup.files import told
from libs.backup.header import Header, Secrets, key_of, read_header
from libs.backup.sealing import Opener, Sealer

MANIFEST = "manifest.json"

_LEVEL = 3  # of zstandard: 19 is a tenth smaller, and thirty times slower
_BLOCK = 1 << 20
_LONGEST_MANIFEST = 1 << 24  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What the copy of one service's database must hold: `rows` of each table."""

    file: str
    revision: str
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds, by service."""

    copies: Mapping[str, Copy]

    def encoded(self) -> bytes:
        """As it stands in the file."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, content: bytes) -> "Manifest":
        """From the file."""
        return cls(copies={service: Copy(**each) for service, each in json.loads(content)["copies"].items()})


def write_backup(path: Path, header: Header, key: bytes, manifest: Manifest, members: Mapping[str, Path]) -> None:
    """Writes it over an empty file. Raises OSError, as where the disk is full."""
    with path.open("wb") as file:
        head = header.encoded()
        file.write(head)
        sealer = Sealer(file, key, head)
        with (
            zstandard.ZstdCompressor(level=_LEVEL).stream_writer(cast(IO[bytes], sealer), closefd=False) as packed,
            tarfile.open(mode="w|", fileobj=packed) as tar,
        ):
            _add(tar, MANIFEST, BytesIO(content := manifest.encoded()), len(content))
            for name, member in members.items():
                with member.open("rb") as source:
                    _add(tar, name, source, member.stat().st_size)
        sealer.finish()


def unpack_backup(path: Path, secrets: Secrets, folder: Path) -> Manifest:
    """Puts what a backup holds into an empty folder, for its owner only, checked to its last byte.

    Raises NotABackup, WrongBackupKey, Damaged, NoRoom or CopyFailed.
    """
    with told(folder), path.open("rb") as file:
        header = read_header(file)
        opener = Opener(file, key_of(header, secrets, str(path)), header.encoded())
        try:
            manifest = _unpack(cast(IO[bytes], BufferedReader(opener, _BLOCK)), folder)
        except (tarfile.TarError, zstandard.ZstdError, ValueError, KeyError, TypeError) as error:
            raise Damaged(f"{path} is damaged: take another backup") from error
        if missing := [copy.file for copy in manifest.copies.values() if not (folder / copy.file).exists()]:
            raise Damaged(f"{path} is damaged: it lacks {', '.join(missing)}")
        return manifest


def _add(tar: tarfile.TarFile, name: str, source: IO[bytes], size: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    tar.addfile(entry, source)


def _unpack(opener: IO[bytes], folder: Path) -> Manifest:
    manifest: Manifest | None = None
    unpacked = zstandard.ZstdDecompressor().stream_reader(opener, closefd=False)
    with tarfile.open(mode="r|", fileobj=unpacked) as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            if content is None or Path(entry.name).name != entry.name:
                raise Damaged(f"{entry.name!r} has no place in a backup")
            if entry.name == MANIFEST:
                manifest = Manifest.parse(content.read(_LONGEST_MANIFEST))
                continue
            with os.fdopen(os.open(folder / entry.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
                shutil.copyfileobj(content, target, _BLOCK)
    while opener.read(_BLOCK):  # to the last piece, which tells that nothing was cut off
        pass
    if manifest is None:
        raise Damaged("there is no manifest")
    return manifest
