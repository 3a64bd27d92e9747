"""Encryption of the suite: the wish for new data keys, and what each service tells of the keys that it has.

A wish is a number, the epoch, that grows with every request. A service that sees one beyond its own makes a new data
key, seals all its secrets with it, forgets the older keys and has reached the epoch. It may skip some: what counts is
that its key is newer than the last request.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class KeyringState(StrEnum):
    """How far a service is: ROTATING until all that can be read is sealed with the newest data key, then CURRENT."""

    CURRENT = "CURRENT"
    ROTATING = "ROTATING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """What a service tells of its keys: ids and fingerprints, never a key. `reported_at` is None until it is kept."""

    service: str
    state: KeyringState
    root_key_id: str
    previous_root_key: bool
    data_key_id: str
    data_key_created_at: datetime | None
    data_key_epoch: int
    done: int
    unreadable: int
    total: int
    reported_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """How it stands: the newest epoch, who asked for it when (nobody for the first one), and what services told."""

    epoch: int
    actor: str
    requested_at: datetime | None
    keyrings: Sequence[Keyring]

    @property
    def is_done(self) -> bool:
        """Whether every service that has ever told has reached the epoch."""
        return all(each.data_key_epoch >= self.epoch and each.state is KeyringState.CURRENT for each in self.keyrings)


class EncryptionStore(Protocol):
    """Where the wish and the reports are kept."""

    async def load(self) -> Encryption:
        """How it stands."""
        ...

    async def ask(self, request_id: str | None, *, actor: str) -> bool:
        """Grows the epoch, unless this request did so before; returns whether it grew."""
        ...

    async def keep(self, keyring: Keyring) -> None:
        """Keeps what a service told, in place of what it told before."""
        ...


class DataKeys:
    """What people do about data keys. `changed` is called when services have something new to obey."""

    def __init__(self, store: EncryptionStore, *, changed: Callable[[], None]) -> None:
        self._store = store
        self._changed = changed

    async def get(self) -> Encryption:
        """How it stands."""
        return await self._store.load()

    async def rotate(self, request_id: str | None, *, actor: str) -> Encryption:
        """Asks every service for a new data key; the same request asks once, however often it comes."""
        if await self._store.ask(request_id, actor=actor):
            self._changed()
        return await self._store.load()

    async def keep(self, keyring: Keyring) -> None:
        """Keeps what a service told."""
        await self._store.keep(keyring)
