"""Soulseek as `domain.peers.PeerNetwork`: the live session, with the time limits of the settings in force."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from libs.clock import Clock, SystemClock
from services.acquisition.domain.candidates import Candidate, RemoteFile
from services.acquisition.soulseek.keeper import SessionKeeper
from services.acquisition.soulseek.recent import RecentSearches


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """How long to collect answers, to wait for a next byte, and to wait in a peer's queue."""

    search: timedelta = timedelta(seconds=15)
    idle: timedelta = timedelta(seconds=60)
    queue: timedelta = timedelta(minutes=15)


class SoulseekNetwork:
    """Asks whatever session there is now. `limits` tells the limits of the moment."""

    def __init__(self, keeper: SessionKeeper, *, limits: Callable[[], TimeLimits], clock: Clock | None = None) -> None:
        self._keeper = keeper
        self._limits = limits
        self._recent = RecentSearches(clock or SystemClock())

    async def search(self, query: str) -> Sequence[Candidate]:
        """What peers offer; raises NetworkAway and NetworkUnusable."""
        return await self._recent.ask(query, self._search)

    async def _search(self, query: str) -> Sequence[Candidate]:
        await self._keeper.settled()
        return await self._keeper.session().search(query, self._limits().search)

    async def download(
        self,
        peer: str,
        file: RemoteFile,
        target: Path,
        *,
        on_bytes: Callable[[int], None],
        on_place: Callable[[int], None] | None = None,
    ) -> int:
        """Fetch a file to `target`; raises NetworkAway, NetworkUnusable, PeerFailed and OSError."""
        limits = self._limits()
        await self._keeper.settled()
        return await self._keeper.session().download(
            peer,
            file,
            target,
            idle_timeout=limits.idle,
            queue_timeout=limits.queue,
            on_progress=on_bytes,
            on_place=on_place or (lambda _: None),
        )
