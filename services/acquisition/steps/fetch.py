"""Fetches the files of one offer, a few at a time, and tells how far it is."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from services.acquisition.domain.attempt import Progress
from services.acquisition.domain.candidates import RemoteFile
from services.acquisition.domain.peers import PeerNetwork
from services.acquisition.domain.ranking import RankedCandidate
from services.acquisition.domain.step import ProgressReport

AT_ONCE = 2  # files of one peer; more only wait in its queue
REPORT_SECONDS = 1.0


async def fetch(
    network: PeerNetwork, offer: RankedCandidate, paths: Sequence[Path], report: ProgressReport
) -> list[int]:
    """Fetch every file of the offer to its path; returns the sizes that the peer announced.

    A file that is complete already (from before a crash) is kept. Raises the first fault of the network or the disk,
    when the transfers that ran beside it have ended.
    """
    return await _Fetch(network, offer, paths, report).run()


class _Fetch:
    def __init__(
        self, network: PeerNetwork, offer: RankedCandidate, paths: Sequence[Path], report: ProgressReport
    ) -> None:
        self._network = network
        self._peer = offer.candidate.peer
        self._files = [pick.file for pick in offer.selection]
        self._paths = paths
        self._report = report
        self._received = [0] * len(paths)
        self._announced: list[int | None] = [None] * len(paths)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._door = asyncio.Lock()

    async def run(self) -> list[int]:
        transfers = [asyncio.create_task(self._one(index)) for index in range(len(self._files))]
        try:
            while pending := [task for task in transfers if not task.done()]:
                await asyncio.wait(pending, timeout=REPORT_SECONDS, return_when=asyncio.FIRST_EXCEPTION)
                await self._report(self._progress())
                if any(task.done() and task.exception() for task in transfers):
                    break
        finally:
            for task in transfers:
                task.cancel()
            results = await asyncio.gather(*transfers, return_exceptions=True)
        faults = [result for result in results if isinstance(result, Exception)]
        if faults:
            raise faults[0]
        return [size for size in self._announced if size is not None]

    async def _one(self, index: int) -> None:
        async with self._slots:
            file, path = self._files[index], self._paths[index]
            self._announced[index] = await self._kept(file, path) or await self._download(index, file, path)
            self._received[index] = file.size

    async def _kept(self, file: RemoteFile, path: Path) -> int:
        """The size of a file that is there already, 0 unless it is complete."""
        there = await asyncio.to_thread(lambda: path.stat().st_size if path.is_file() else 0)
        return there if there == file.size else 0

    async def _download(self, index: int, file: RemoteFile, path: Path) -> int:
        """Fetch one file; the next one is asked for when this one's first byte is here.

        Several that look for the same peer at once may get in each other's way, and would only wait in its queue.
        """
        await self._door.acquire()
        with ExitStack() as opening:
            opening.callback(self._door.release)

            def arrived(received: int) -> None:
                self._received[index] = received
                if received:
                    opening.close()

            return await self._network.download(self._peer, file, path, on_bytes=arrived)

    def _progress(self) -> Progress:
        return Progress(
            received_bytes=sum(self._received),
            total_bytes=sum(file.size for file in self._files),
            finished_count=sum(size is not None for size in self._announced),
            total_count=len(self._files),
        )
