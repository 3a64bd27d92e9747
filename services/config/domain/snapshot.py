"""A snapshot: all that the services of the suite obey, at one revision."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.config.domain.configuration import Configuration
from services.config.domain.keys import ApiKey
from services.config.domain.sessions import EndedSession
from services.config.domain.values import InForce


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The settings in force with their secrets, the keys that callers may hold, and the epoch of data keys.

    `ended` are the sessions that were signed out before their end.
    """

    settings: InForce
    keys: tuple[ApiKey, ...]
    data_key_epoch: int = 0
    ended: tuple[EndedSession, ...] = ()

    @property
    def revision(self) -> int:
        """Grows with every change of settings or keys, and with every session that is signed out."""
        return self.settings.version


class KeyStore(Protocol):
    """Where API keys are kept."""

    async def keys(self) -> Sequence[ApiKey]:
        """Every key that is held."""
        ...


class SnapshotFeed(Protocol):
    """What tells of new snapshots."""

    def follow(self) -> AsyncIterator[Snapshot]:
        """The snapshot in force, then each that replaces it, for ever."""
        ...


class Snapshots:
    """Takes snapshots; `given` is a key that counts as long as this process runs, and is kept nowhere.

    `epoch` is how often somebody asked for new data keys, `ended` which sessions were signed out before their end.
    """

    def __init__(
        self,
        configuration: Configuration,
        keys: KeyStore,
        *,
        given: ApiKey | None,
        epoch: Callable[[], Awaitable[int]],
        ended: Callable[[], Awaitable[Sequence[EndedSession]]],
    ) -> None:
        self._configuration = configuration
        self._keys = keys
        self._epoch = epoch
        self._ended = ended
        self._given = () if given is None else (given,)

    async def revision(self) -> int:
        """The revision that a snapshot would have now."""
        return await self._configuration.version()

    async def take(self) -> Snapshot:
        """The snapshot in force. Settings first: a key that arrives in between belongs to the next revision too."""
        settings = await self._configuration.current()
        keys = (*self._given, *await self._keys.keys())
        ended = tuple(await self._ended())
        return Snapshot(settings=settings, keys=keys, data_key_epoch=await self._epoch(), ended=ended)
