"""Fetches the files of an offer, a few at a time from each peer, and tells how far each of them is."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from libs.clock import Clock
from services.acquisition.domain import listings
from services.acquisition.domain.attempt import FileProgress, FileState, Progress
from services.acquisition.domain.offers import Piece
from services.acquisition.domain.peers import PeerFailed, PeerNetwork
from services.acquisition.domain.step import ProgressReport

AT_ONCE = 2  # files of one peer; more only wait in its queue
REPORT_SECONDS = 1.0
MOST_PLACES = 2**31 - 1  # whatever number a peer makes up
SPEED_SECONDS = 5.0  # over which the speed is told

_OF_ONE_FILE = frozenset({"TRANSFER_REJECTED", "TRANSFER_TAKEN", "SIZE_MISMATCH"})
"""Faults after which the peer's other files may still come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A file that a peer did not deliver."""

    piece: Piece
    error: PeerFailed

    @property
    def of_one_file(self) -> bool:
        """Whether it says nothing about the peer's other files."""
        return self.error.reason in _OF_ONE_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The sizes that were announced, 0 for what did not arrive; why it did not; and how far all is."""

    sizes: tuple[int, ...]
    faults: tuple[Fault, ...]
    progress: Progress


async def fetch(
    network: PeerNetwork, pieces: Sequence[Piece], paths: Sequence[Path], report: ProgressReport, *, clock: Clock
) -> Fetched:
    """Fetch every piece that is not here yet to its path.

    A file that is complete already (from before a crash) is kept. What one peer does not deliver stops nobody else.
    Raises the first fault of our own network or disk, when the transfers that ran beside it have ended.
    """
    return await _Fetch(network, pieces, paths, report, clock).run()


class _Fetch:
    def __init__(
        self,
        network: PeerNetwork,
        pieces: Sequence[Piece],
        paths: Sequence[Path],
        report: ProgressReport,
        clock: Clock,
    ) -> None:
        self._network = network
        self._files = [_File(piece, path, clock) for piece, path in zip(pieces, paths, strict=True)]
        self._report = report
        self._slots: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))
        self._doors: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._transfers: dict[asyncio.Task[None], _File] = {}
        self._faults: list[Fault] = []

    async def run(self) -> Fetched:
        self._transfers = {asyncio.create_task(self._one(file)): file for file in self._files}
        try:
            while pending := [task for task in self._transfers if not task.done()]:
                await asyncio.wait(pending, timeout=REPORT_SECONDS, return_when=asyncio.FIRST_EXCEPTION)
                await self._report(self._progress())
                if any(task.done() and not task.cancelled() and task.exception() for task in self._transfers):
                    break
        finally:
            for task in self._transfers:
                task.cancel()
            results = await asyncio.gather(*self._transfers, return_exceptions=True)
        if faults := [result for result in results if isinstance(result, Exception)]:
            raise faults[0]
        sizes = tuple(file.announced for file in self._files)
        return Fetched(sizes=sizes, faults=tuple(self._faults), progress=self._progress())

    async def _one(self, file: "_File") -> None:
        async with self._slots[file.piece.peer]:
            if announced := file.piece.size or await file.complete():
                file.done(announced)
                return
            try:
                file.done(await self._download(file))
            except PeerFailed as error:
                self._failed(file, Fault(piece=file.piece, error=error))

    def _failed(self, file: "_File", fault: Fault) -> None:
        """Without the file; and without all that the peer has not sent yet, unless the fault is the file's own."""
        self._faults.append(fault)
        file.forgotten()
        for task, other in self._transfers.items():
            if not fault.of_one_file and other is not file and other.piece.peer == file.piece.peer and not task.done():
                task.cancel()
                other.forgotten()

    async def _download(self, file: "_File") -> int:
        """Fetch one file; the peer's next one is asked for when this one's first byte is here.

        Several that look for the same peer at once may get in each other's way, and would only wait in its queue.
        """
        door = self._doors[file.piece.peer]
        await door.acquire()
        with ExitStack() as opening:
            opening.callback(door.release)

            def arrived(received: int) -> None:
                file.received = received
                if received:
                    file.state = FileState.TRANSFERRING
                    opening.close()

            file.state = FileState.QUEUED
            return await self._network.download(
                file.piece.peer, file.piece.pick.file, file.path, on_bytes=arrived, on_place=file.at_place
            )

    def _progress(self) -> Progress:
        files = tuple(file.progress() for file in self._files)
        return Progress(
            received_bytes=sum(file.received_bytes for file in files),
            total_bytes=sum(file.total_bytes for file in files),
            finished_count=sum(file.state is FileState.DONE for file in files),
            total_count=len(files),
            bytes_per_second=sum(file.bytes_per_second for file in files),
            files=files,
        )


class _File:
    """One piece on its way."""

    def __init__(self, piece: Piece, path: Path, clock: Clock) -> None:
        self.piece = piece
        self.path = path
        self.state = FileState.PENDING
        self.received = 0
        self.announced = 0
        self._place = 0
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    async def complete(self) -> int:
        """The size of the file that is there already, 0 unless it is complete."""
        size = await asyncio.to_thread(lambda: self.path.stat().st_size if self.path.is_file() else 0)
        return size if size == self.piece.pick.file.size else 0

    def at_place(self, place: int) -> None:
        """Told its place in the peer's queue."""
        self._place = min(max(place, 0), MOST_PLACES)

    def done(self, announced: int) -> None:
        self.announced = announced
        self.received = self.piece.pick.file.size
        self.state = FileState.DONE

    def forgotten(self) -> None:
        """It is not coming."""
        self.received = 0
        self.state = FileState.PENDING

    def progress(self) -> FileProgress:
        return FileProgress(
            name=listings.file_name(self.piece.pick.file.path),
            peer=self.piece.peer,
            state=self.state,
            received_bytes=self.received,
            total_bytes=self.piece.pick.file.size,
            bytes_per_second=self._speed(),
            place_in_queue=self._place if self.state is FileState.QUEUED else 0,
        )

    def _speed(self) -> int:
        """Bytes a second, over the last seconds."""
        now = self._clock.monotonic()
        self._seen.append((now, self.received))
        while now - self._seen[0][0] > SPEED_SECONDS:
            self._seen.popleft()
        since, received = self._seen[0]
        if self.state is not FileState.TRANSFERRING or now <= since:
            return 0
        return int(max(0, self.received - received) / (now - since))
