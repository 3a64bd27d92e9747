"""slskd as `domain.peers.PeerNetwork`: its session, our limits, and nothing of ours left in it."""

import asyncio
import os.path
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Protocol

from libs.clock import Clock
from libs.errors import AppError
from libs.telemetry.logger import get_logger
from services.acquisition.domain.candidates import Candidate, RemoteFile
from services.acquisition.domain.peers import PeerNetworkFault
from services.acquisition.domain.providers import SlskdAddress
from services.acquisition.metrics import DownloadMetrics
from services.acquisition.slskd.client import SlskdClient
from services.acquisition.slskd.download import Download
from services.acquisition.slskd.ending import end
from services.acquisition.slskd.errors import NO_SLSKD, SlskdDownloadsNotSet, SlskdFault, SlskdOff
from services.acquisition.slskd.landing import Landing
from services.acquisition.slskd.patience import Limits, Paces
from services.acquisition.slskd.place import FOLDER, Place, is_of
from services.acquisition.slskd.request import Request
from services.acquisition.slskd.search import Search
from services.acquisition.slskd.transfer import Transfer

log = get_logger()

Ended = Callable[[Collection[str]], Awaitable[Collection[str]]]
"""Tells which of these acquisitions have ended; the unknown have not."""


class Gate(Protocol):
    """Lets searches through as slowly as the Soulseek server bears."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait for a turn; the body sends the search. Raises NetworkAway where that is too far away."""
        ...


class SlskdNetwork:
    """Asks whatever slskd the settings name now, within the limits that are in force.

    `problem` says why they name none, and what to do.
    """

    def __init__(
        self,
        client: SlskdClient,
        *,
        address: Callable[[], SlskdAddress | None],
        problem: Callable[[], str] = lambda: NO_SLSKD,
        limits: Callable[[], Limits],
        gate: Gate,
        metrics: DownloadMetrics,
        clock: Clock,
        paces: Paces | None = None,
    ) -> None:
        self._client = client
        self._address = address
        self._problem = problem
        self._limits = limits
        self._gate = gate
        self._metrics = metrics
        self._clock = clock
        self._paces = paces or Paces()
        self._serving: Counter[str] = Counter()
        self._running: Counter[str] = Counter()
        self._abandoned: set[str] = set()
        self._settling = asyncio.Lock()

    async def search(self, query: str) -> Sequence[Candidate]:
        """What peers offer; raises NetworkAway and NetworkUnusable."""
        await self._downloads()
        await self._client.ensure_ready()
        quiet, poll = self._limits().search, min(self._paces.poll, self._limits().search / 4)
        search = Search(self._client, query, quiet=quiet, poll=poll, clock=self._clock)
        try:
            async with self._gate.turn():
                begun = await search.begin()
            return await search.results() if begun else []
        finally:
            await search.delete()

    async def download(
        self,
        peer: str,
        file: RemoteFile,
        target: Path,
        *,
        on_bytes: Callable[[int], None],
        on_place: Callable[[int], None] | None = None,
    ) -> int:
        """Fetch a file to `.../<acquisition>/<attempt>/<name>`, adopting what runs already for this target.

        Raises NetworkAway (it may run on in slskd, for the next call), NetworkUnusable, PeerFailed and OSError.
        """
        landing, place = await self._downloads(), Place.of(target)
        await self._settle(place.acquisition)  # it was begun again
        request = Request(self._client, place, peer=peer, file=file, paces=self._paces, clock=self._clock)
        download = Download(
            self._client,
            request,
            landing,
            target,
            limits=self._limits(),
            paces=self._paces,
            serving=self._serving,
            on_bytes=on_bytes,
            on_place=on_place,
            clock=self._clock,
        )
        self._running[place.acquisition] += 1
        try:
            with self._metrics.downloading() as arrived:
                arrived.size = await download.run()
            return arrived.size
        finally:
            self._running[place.acquisition] -= 1
            if not self._running[place.acquisition]:
                await asyncio.to_thread(landing.prune, place.folder)

    async def abandon(self, acquisition: str) -> None:
        """Stop and remove what is left of an acquisition; while slskd is away or off, as soon as it can be asked."""
        self._abandoned.add(acquisition)
        try:
            await self._settle(acquisition)
        except PeerNetworkFault as error:
            log.warning("slskd.left_behind", acquisition=acquisition, reason=error.reason)

    async def run(self, ended: Ended) -> None:
        """Look from time to time after what was abandoned while slskd was away; never returns.

        What has not `ended` was begun again, maybe by another process: its downloads are wanted.
        """
        while True:
            await asyncio.sleep(self._paces.tending.total_seconds())
            with suppress(PeerNetworkFault, AppError):
                for acquisition in await ended(self._abandoned) if self._abandoned else ():
                    await self._settle(acquisition)

    async def sweep(self, ended: Ended) -> None:
        """Remove what acquisitions that have ended left in slskd's folder; `ended` tells which did."""
        try:
            landing = await self._downloads()
        except PeerNetworkFault:
            return
        for name in await ended(await asyncio.to_thread(landing.names, FOLDER)):
            await self.abandon(name)

    async def _settle(self, acquisition: str) -> None:
        """Stop and remove what is left of it, if it was abandoned: one at a time, and nothing of its next download."""
        async with self._settling:
            if acquisition not in self._abandoned:
                return
            landing = await self._downloads()
            try:
                await end(self._client, await self._left(acquisition), paces=self._paces, clock=self._clock)
            except SlskdFault as error:
                log.warning("slskd.left_running", acquisition=acquisition, why=error.message)
            await asyncio.to_thread(landing.remove, f"{FOLDER}/{acquisition}")
            await asyncio.to_thread(landing.prune, FOLDER)
            self._abandoned.discard(acquisition)

    async def _left(self, acquisition: str) -> list[Transfer]:
        """The downloads of an acquisition, and what slskd made of them after a restart."""
        listed = await self._client.all_transfers()
        ours = [transfer for transfer in listed if is_of(acquisition, transfer.batch_id)]
        cut_off = [transfer for transfer in ours if transfer.was_cut_off]
        return ours + [one for one in listed if any(one.follows(before) for before in cut_off)]

    async def _downloads(self) -> Landing:
        address = self._address()
        if address is None:
            raise SlskdOff(self._problem())
        if address.download_path is None:
            raise SlskdDownloadsNotSet
        if not await asyncio.to_thread(os.path.isdir, address.download_path):  # False where the disk is away, too
            raise SlskdDownloadsNotSet(address.download_path)
        return Landing(address.download_path)
