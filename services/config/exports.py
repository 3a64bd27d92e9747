"""Settings taken out and put in as documents, their secrets under a passphrase."""

import asyncio
import hashlib
import json
import os
import unicodedata
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from libs.clock import Clock
from services.config.domain.catalogue import Catalogue
from services.config.domain.configuration import Configuration, Terms
from services.config.domain.document import (
    Contents,
    DamagedDocument,
    Document,
    PassphraseNeeded,
    SealedSecrets,
    WrongPassphrase,
    split,
)
from services.config.domain.values import InForce

_COST = 16  # N = 65536: 64 MiB and about 0.2 s a guess
_R = 8
_SALT_BYTES = 16
_NONCE_BYTES = 12
_KEY_BYTES = 32
_SPARE = 1 << 20  # bytes that scrypt may take beside its large block


class Exports:
    """The way out and in. One thread makes keys, one after the other: each takes up to 128 MiB (128 * N * r)."""

    def __init__(self, configuration: Configuration, *, catalogue: Catalogue, clock: Clock) -> None:
        self._configuration = configuration
        self._catalogue = catalogue
        self._clock = clock
        self._one = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scrypt")

    async def export(self, passphrase: str) -> Document:
        """What is stored; secrets only with a passphrase to seal them with. Raises SettingsUnreadable."""
        stored = await self._configuration.stored()
        values, secrets = split(stored, self._catalogue, with_secrets=bool(passphrase))
        document = Document(export_time=self._clock.now(), values=values)
        if passphrase:
            document = await self._sealed(document, secrets, passphrase)
        return document.summed()

    async def take_over(self, document: Document, *, passphrase: str, replacing: bool, terms: Terms) -> InForce:
        """Stores what a document holds, all or nothing, as one revision.

        Raises NewerDocument, DamagedDocument, PassphraseNeeded, WrongPassphrase, UnknownSetting, and what
        `Configuration.put` raises.
        """
        document.check()
        contents = Contents(values=document.values, secrets=await self._opened(document, passphrase))
        wanted = contents.wanted(self._catalogue, replacing=replacing)
        places = contents.places(self._catalogue)
        return await self._configuration.put(lambda held: wanted, replace(terms, places=places))

    async def _sealed(self, document: Document, secrets: Mapping[str, str], passphrase: str) -> Document:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        box = SealedSecrets(salt=os.urandom(_SALT_BYTES), cost=_COST, nonce=os.urandom(_NONCE_BYTES))
        document = replace(document, secrets=box)
        key = await self._key(box, passphrase)
        plain = json.dumps(secrets, sort_keys=True).encode()
        return replace(
            document, secrets=replace(box, ciphertext=AESGCM(key).encrypt(box.nonce, plain, document.associated))
        )

    async def _opened(self, document: Document, passphrase: str) -> dict[str, str] | None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        box = document.secrets
        if box is None:
            return None
        if not passphrase:
            what = "the document holds secrets: give the passphrase that it was exported with"
            raise PassphraseNeeded.field("passphrase", what, reason=PassphraseNeeded.reason)
        key = await self._key(box, passphrase)
        try:
            return _secrets(AESGCM(key).decrypt(box.nonce, box.ciphertext, document.associated))
        except InvalidTag as error:
            what = "does not open the secrets of the document"
            raise WrongPassphrase.field("passphrase", what, reason=WrongPassphrase.reason) from error

    async def _key(self, box: SealedSecrets, passphrase: str) -> bytes:
        secret = unicodedata.normalize("NFC", passphrase).encode()  # as typed on any keyboard (RFC 8265)
        return await asyncio.get_running_loop().run_in_executor(self._one, _derived, box, secret)


def _derived(box: SealedSecrets, passphrase: bytes) -> bytes:
    block = 128 * _R << box.cost
    return hashlib.scrypt(
        passphrase, salt=box.salt, n=1 << box.cost, r=_R, p=1, maxmem=block + _SPARE, dklen=_KEY_BYTES
    )


def _secrets(plain: bytes) -> dict[str, str]:
    """The secrets by their paths; whoever holds the passphrase could have sealed something else."""
    try:
        secrets = json.loads(plain)
    except (ValueError, RecursionError):
        secrets = None
    if not isinstance(secrets, dict) or not all(name.isascii() and isinstance(secrets[name], str) for name in secrets):
        what = "holds something else than secrets by their settings"
        raise DamagedDocument.field("document.secrets", what, reason=DamagedDocument.reason)
    return secrets
