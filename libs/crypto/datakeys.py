"""Data keys: what seals records, and is itself sealed under the root keys.

A data key is ACTIVE until the next rotation, then RETIRING until no record needs it. Nothing of its row can be changed
unseen: all of it is authenticated where the key is sealed.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from libs.crypto.derivation import derive
from libs.crypto.keyring import Keyring, Tampered, WrongKey, id_of, sealed_with
from libs.crypto.rootkey import RootKeys
from libs.sql.types import millis

RECORDS = "records"
"""The purpose of those that rotate; every other purpose has one key that lasts."""

State = Literal["ACTIVE", "RETIRING"]
Row = Mapping[str, Any]

_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """One of them, open."""

    purpose: str
    state: State
    epoch: int
    created_at: datetime
    secret: bytes = field(repr=False)

    @property
    def id(self) -> bytes:
        """The id that its records carry."""
        return id_of(self.secret)

    @property
    def context(self) -> str:
        """What its row says, as it is authenticated."""
        return f"data key {self.id.hex()} {self.purpose} {self.state} {self.epoch} {millis(self.created_at)}"

    def retired(self) -> "DataKey":
        """The same, to be forgotten when no record needs it any more."""
        return replace(self, state="RETIRING")


def new_data_key(*, epoch: int, created_at: datetime) -> DataKey:
    """A key of chance, to seal records with."""
    return DataKey(purpose=RECORDS, state="ACTIVE", epoch=epoch, created_at=created_at, secret=os.urandom(_BYTES))


class Wrapping:
    """Seals data keys under root keys and opens them.

    While a previous root key is known, each data key is sealed under both: a process that was not restarted yet, or
    that is restarted as it was, goes on.
    """

    def __init__(self, roots: RootKeys) -> None:
        keys = [derive(each, "data keys") for each in roots.all]
        self._ring = Keyring(*keys)
        self._known = {id_of(each) for each in keys}
        self._before = Keyring(derive(roots.shared, "data keys")) if roots.previous else None

    @property
    def root_key_id(self) -> str:
        """The fingerprint of the current root key."""
        return self._ring.current_id.hex()

    def row(self, key: DataKey) -> dict[str, Any]:
        """The key as it is kept."""
        secret, context = key.secret, key.context
        return {
            "id": key.id.hex(),
            "purpose": key.purpose,
            "state": key.state,
            "epoch": key.epoch,
            "created_at": key.created_at,
            "sealed": self._ring.seal(secret, context=context),
            "sealed_before": self._before and self._before.seal(secret, context=context),
        }

    def open(self, row: Row) -> DataKey:
        """The key of a row; raises WrongKey where no root key that is known sealed it, or Tampered."""
        opened = [self._opened(row, sealed) for sealed in (row["sealed"], row["sealed_before"]) if sealed is not None]
        known = {each for each in opened if each is not None}
        if not known:
            raise WrongKey(f"data key {row['id']} was sealed under another root key")
        if len(known) > 1:
            raise Tampered(f"data key {row['id']} was changed outside of lockgroove")
        return known.pop()

    def knows_newest(self, row: Row) -> bool:
        """Whether the root key that sealed a row last is known: if not, somebody rolls out another one."""
        return sealed_with(row["sealed"]) in self._known

    def is_settled(self, row: Row) -> bool:
        """Whether a row is sealed under what it should be.

        To a process that knows one root key, and not the one of the row, that is not for it to say: somebody rolls out
        another one.
        """
        sealed, before = sealed_with(row["sealed"]), row["sealed_before"]
        if self._before is None:
            return before is None or sealed != self._ring.current_id
        return sealed == self._ring.current_id and before is not None and sealed_with(before) == self._before.current_id

    def _opened(self, row: Row, sealed: bytes) -> DataKey | None:
        said = {name: row[name] for name in ("purpose", "state", "epoch", "created_at")}
        context = f"data key {row['id']} {row['purpose']} {row['state']} {row['epoch']} {millis(row['created_at'])}"
        try:
            return DataKey(**said, secret=self._ring.open(sealed, context=context))
        except WrongKey:
            return None
