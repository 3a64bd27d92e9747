"""What Kima keeps encrypted: AES-256-CBC without authentication, as `IV:text` in hexadecimal."""

import re

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from deploy.cli.exits import Exit
from libs.errors import FailedPrecondition

_SEALED = re.compile(r"([0-9a-f]{32}):((?:[0-9a-f]{32})+)", re.IGNORECASE)
_KEY_LENGTH = 32
_BLOCK = 128  # bits


class UnusableKimaKey(FailedPrecondition):
    """SETTINGS_ENCRYPTION_KEY is missing, or is another one."""

    reason = "UNUSABLE_KIMA_KEY"
    exit_status = Exit.REFUSED


class WrongKey(Exception):
    """The key does not open this value."""


class KimaKey:
    """SETTINGS_ENCRYPTION_KEY, cut or filled up with zeros to 32 characters as Kima does."""

    def __init__(self, text: str) -> None:
        self._key = text[:_KEY_LENGTH].ljust(_KEY_LENGTH, "0").encode()
        if len(self._key) != _KEY_LENGTH:
            raise UnusableKimaKey("SETTINGS_ENCRYPTION_KEY holds other than ASCII: Kima could not have used it")

    def open(self, sealed: str) -> str:
        """The plain text. Raises WrongKey: nothing authenticates it, so what is no printable text counts as garbage."""
        given = _SEALED.fullmatch(sealed)
        if given is None:
            raise WrongKey
        decryptor = Cipher(AES256(self._key), CBC(bytes.fromhex(given[1]))).decryptor()
        unpadder = PKCS7(_BLOCK).unpadder()
        padded = decryptor.update(bytes.fromhex(given[2])) + decryptor.finalize()
        try:
            text = (unpadder.update(padded) + unpadder.finalize()).decode()
        except ValueError:
            raise WrongKey from None
        if not text or not text.isprintable():
            raise WrongKey
        return text


def is_sealed(text: str) -> bool:
    """Whether a value looks as Kima's encryption leaves it."""
    return _SEALED.fullmatch(text) is not None
