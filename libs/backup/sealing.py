"""A stream sealed in pieces, so that memory is bounded and nothing can be changed, moved, left out or cut off unseen.

AES-256-GCM over pieces of 1 MiB; the nonce is the number of the piece and whether it is the last (the STREAM
construction, Hoang, Reyhanitabar, Rogaway and Vizár 2015), and the header is authenticated with each. The key is of
this file alone: its salt is random.
"""

import hashlib
import hmac
from io import RawIOBase
from typing import IO, TYPE_CHECKING, Any

from libs.backup.errors import Damaged
from libs.crypto.derivation import derive, hkdf

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PIECE = 1 << 20  # bytes of plaintext
SALT = 16  # bytes

_TAG = 16
# OWASP's figures for scrypt: 32 MiB and a tenth of a second for each guess.
_SCRYPT = {"n": 1 << 15, "r": 8, "p": 3, "maxmem": 1 << 26}
_ID = 8  # bytes


def key_of_root(root: bytes, salt: bytes) -> bytes:
    """The key of one file, from the root key."""
    return hkdf(derive(root, "backups"), salt=salt, info=b"lockgroove/backup file")


def key_of_passphrase(passphrase: str, salt: bytes) -> bytes:
    """The key of one file, from a passphrase."""
    stretched = hashlib.scrypt(passphrase.encode(), salt=salt, dklen=32, **_SCRYPT)
    return hkdf(stretched, info=b"lockgroove/backup file")


def check_of(key: bytes) -> str:
    """What tells a wrong key from a damaged file, and nothing about the key."""
    return hmac.digest(key, b"lockgroove/backup check", hashlib.sha256)[:_ID].hex()


class Sealer(RawIOBase):
    """Writes what it gets to a file, sealed; `close` writes the last piece."""

    def __init__(self, file: IO[bytes], key: bytes, header: bytes) -> None:
        self._file, self._cipher, self._header = file, _cipher(key), header
        self._piece = bytearray()
        self._number = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Takes all of it."""
        self._piece += data
        while len(self._piece) > PIECE:
            self._put(bytes(self._piece[:PIECE]), last=False)
            del self._piece[:PIECE]
        return len(data)

    def finish(self) -> None:
        """Writes the last piece: without it, the file counts as cut short."""
        self._put(bytes(self._piece), last=True)
        self._piece.clear()

    def _put(self, piece: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last=last), piece, self._header))
        self._number += 1


class Opener(RawIOBase):
    """Reads what a Sealer wrote. Raises Damaged at the first piece that is not as it was."""

    def __init__(self, file: IO[bytes], key: bytes, header: bytes) -> None:
        self._file, self._cipher, self._header = file, _cipher(key), header
        self._ahead = file.read(PIECE + _TAG)
        self._open = b""
        self._at = 0
        self._number = 0
        self._done = False

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Some bytes; 0 at the end."""
        while self._at == len(self._open) and not self._done:
            self._next()
        taken = self._open[self._at : self._at + len(buffer)]
        buffer[: len(taken)] = taken
        self._at += len(taken)
        return len(taken)

    def _next(self) -> None:
        from cryptography.exceptions import InvalidTag

        sealed, self._ahead = self._ahead, self._file.read(PIECE + _TAG)
        self._done = not self._ahead
        try:
            self._open = self._cipher.decrypt(_nonce(self._number, last=self._done), sealed, self._header)
        except (InvalidTag, ValueError) as error:
            raise Damaged(f"{self._file.name} is damaged or cut short: take another backup") from error
        self._at = 0
        self._number += 1


def _cipher(key: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
