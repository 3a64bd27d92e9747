"""The pretended slskd's downloads: from a request to a file in its folder, as the peer's conduct has it."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from deploy.demo.slskd.events import Events
from deploy.demo.slskd.peers import Conduct, SlskdPeer
from deploy.demo.slskd.timing import Timing, stamp
from libs.clock import Clock

Json = dict[str, Any]

SHUT_DOWN = "Application shut down"
ATTEMPTS = 3
SEEN_AS = PurePosixPath("/app/downloads")  # how slskd, in a container of its own, names its folder
_STEPS = 4  # of a transfer


@dataclass(slots=True, kw_only=True)
class Transfer:
    """A download. `hidden` ones are listed only to those who ask for removed ones."""

    id: str
    batch_id: str | None
    username: str
    filename: str
    size: int
    destination: str
    requested: datetime
    state: str = "Queued, Locally"
    enqueued: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    received: int = 0
    attempts: int = 1
    exception: str | None = None
    hidden: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it, or seems to."""
        return self.state.startswith("Completed")

    def row(self) -> Json:
        """As slskd tells it."""
        return {
            "id": self.id,
            "batchId": self.batch_id,
            "username": self.username,
            "direction": "Download",
            "filename": self.filename,
            "size": self.size,
            "state": self.state,
            "requestedAt": stamp(self.requested),
            "enqueuedAt": stamp(self.enqueued),
            "startedAt": stamp(self.started),
            "endedAt": stamp(self.ended),
            "bytesTransferred": self.received,
            "averageSpeed": 0.0,
            "percentComplete": 100 * self.received / self.size if self.size else 0,
            "placeInQueue": 7 if self.state == "Queued, Remotely" else None,
            "exception": self.exception,
            "attempts": self.attempts,
            "nextAttemptAt": None,
        }


@dataclass(slots=True, kw_only=True)
class Batch:
    """What was asked for in one call; it may be empty."""

    id: str
    search_id: str | None
    username: str
    created: datetime
    transfers: list[Transfer] = field(default_factory=list)

    def row(self) -> Json:
        """As slskd tells it."""
        return {
            "id": self.id,
            "searchId": self.search_id,
            "username": self.username,
            "createdAt": stamp(self.created),
            "transfers": [transfer.row() for transfer in self.transfers],
        }


class Downloads:
    """All downloads, and the folder they end in. `is_movable` false: what arrives never gets there."""

    def __init__(
        self, folder: Path, peers: Mapping[str, SlskdPeer], events: Events, *, timing: Timing, clock: Clock
    ) -> None:
        self.folder = folder
        self.transfers: dict[str, Transfer] = {}
        self.batches: dict[str, Batch] = {}
        self.is_movable = True
        self._peers = peers
        self._events = events
        self._timing = timing
        self._clock = clock
        self._running: dict[str, asyncio.Task[None]] = {}
        self._cancelling: set[asyncio.Task[None]] = set()

    def begun(self, filename: str) -> int:
        """How many downloads of a remote file were begun."""
        return sum(transfer.filename == filename for transfer in self.transfers.values())

    def running(self, username: str, filename: str) -> Transfer | None:
        """The download of this file that is not over."""
        for transfer in self.transfers.values():
            if (transfer.username, transfer.filename) == (username, filename) and transfer.id in self._running:
                return transfer
        return None

    def begin(
        self, peer: SlskdPeer, filename: str, size: int, *, batch: Batch | None = None, destination: str = ""
    ) -> Transfer:
        """Begin a download; an older one of the same file is hidden, finished or not."""
        for older in self.transfers.values():
            if (older.username, older.filename) == (peer.username, filename):
                older.hidden = True
        transfer = Transfer(
            id=str(uuid.uuid4()),
            batch_id=batch.id if batch else None,
            username=peer.username,
            filename=filename,
            size=size,
            destination=destination or filename.split("\\")[-2],
            requested=self._clock.now(),
        )
        self.transfers[transfer.id] = transfer
        if batch is not None:
            batch.transfers.append(transfer)
        self._running[transfer.id] = asyncio.create_task(self._run(peer, transfer))
        return transfer

    def cancel(self, transfer: Transfer) -> None:
        """Stop a download, in a moment."""
        task = asyncio.create_task(self._cancel(transfer))
        self._cancelling.add(task)
        task.add_done_callback(self._cancelling.discard)

    async def shut_down(self) -> list[Transfer]:
        """End what is open, as when slskd stops; returns what that was."""
        running = [transfer for transfer in self.transfers.values() if transfer.id in self._running]
        await self.close()
        cut = [transfer for transfer in running if transfer.state != "Completed, Succeeded"]
        for transfer in cut:
            self._end(transfer, "Completed, Errored", SHUT_DOWN)
        return cut

    async def close(self) -> None:
        """Stop everything."""
        tasks = [*self._running.values(), *self._cancelling]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._running.clear()

    async def _cancel(self, transfer: Transfer) -> None:
        await asyncio.sleep(self._timing.cancelling)
        task = self._running.get(transfer.id)
        if task is not None and transfer.state != "Completed, Succeeded":
            self._running.pop(transfer.id).cancel()
            self._end(transfer, "Completed, Cancelled", "The operation was canceled.")

    async def _run(self, peer: SlskdPeer, transfer: Transfer) -> None:
        await self._pass(0)
        while not await self._try(peer, transfer):
            transfer.state, transfer.ended, transfer.exception = "Queued, Locally", None, None
            transfer.attempts += 1
        await self._directory_complete(transfer)
        self._running.pop(transfer.id, None)

    async def _try(self, peer: SlskdPeer, transfer: Transfer) -> bool:
        """One try; whether it was the last."""
        transfer.state = "Requested"
        await self._pass(self._timing.transfer / _STEPS)
        if peer.conduct is Conduct.REJECTING:
            return self._end(transfer, "Completed, Rejected", "Transfer rejected: File not shared.")
        if peer.conduct is Conduct.OTHER_SIZE:
            message = f"Transfer aborted: the remote size of {transfer.size + 1} does not match expected size"
            return self._end(transfer, "Completed, Errored", f"{message} {transfer.size}")
        transfer.state, transfer.enqueued = "Queued, Remotely", self._clock.now()
        await self._pass(self._timing.remote_queue if peer.conduct is not Conduct.QUEUEING else None)
        return await self._receive(peer, transfer)

    async def _receive(self, peer: SlskdPeer, transfer: Transfer) -> bool:
        transfer.state, transfer.started = "InProgress", transfer.started or self._clock.now()
        fails = peer.conduct is Conduct.BREAKING or (peer.conduct is Conduct.FLICKERING and transfer.attempts == 1)
        content = peer.content(transfer.filename)
        for step in range(1, _STEPS + 1):
            if transfer.received * _STEPS >= transfer.size * step:
                continue
            await self._pass(self._timing.transfer / _STEPS)
            if step > _STEPS // 2 and peer.conduct is Conduct.STALLING:
                await self._pass(None)
            if step > _STEPS // 2 and fails:
                self._end(transfer, "Completed, Errored", "Transfer failed: Remote connection closed")
                await self._pass(self._timing.retry)
                return transfer.attempts >= ATTEMPTS
            transfer.received = len(content) * step // _STEPS
        self._end(transfer, "Completed, Succeeded")
        await self._move(transfer, content)
        return True

    async def _move(self, transfer: Transfer, content: bytes) -> None:
        await self._pass(self._timing.moving)
        if not self.is_movable:
            return
        name = transfer.filename.split("\\")[-1]
        path = await asyncio.to_thread(_write, self.folder / transfer.destination, name, content)
        data = {
            "localFilename": str(SEEN_AS / path.relative_to(self.folder)),
            "remoteFilename": transfer.filename,
            "transfer": transfer.row(),
        }
        await self._events.raise_event("DownloadFileComplete", data, at=transfer.ended)

    async def _directory_complete(self, transfer: Transfer) -> None:
        """Said when nothing of the remote folder is pending, whatever became of it."""
        folder = transfer.filename.rpartition("\\")[0]
        for other in self.transfers.values():
            if other.username == transfer.username and not other.is_over and other.filename.startswith(folder):
                return
        data = {
            "localDirectoryName": str(SEEN_AS / transfer.destination),
            "remoteDirectoryName": folder,
            "username": transfer.username,
        }
        await self._events.raise_event("DownloadDirectoryComplete", data)

    def _end(self, transfer: Transfer, state: str, exception: str | None = None) -> bool:
        transfer.state, transfer.exception, transfer.ended = state, exception, self._clock.now()
        return True

    async def _pass(self, seconds: float | None) -> None:
        """Let time pass; None is for ever."""
        if seconds is None:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(seconds or 0)


def _write(folder: Path, name: str, content: bytes) -> Path:
    """Write a file; what is there already keeps its name."""
    folder.mkdir(parents=True, exist_ok=True)
    path, number = folder / name, 2
    while path.exists():
        path, number = folder / f"{Path(name).stem}_{number}{Path(name).suffix}", number + 1
    path.write_bytes(content)
    return path
