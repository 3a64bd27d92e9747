"""One file from one peer, with a clock for each way of waiting.

 QUEUED ──► INITIALIZING ──► DOWNLOADING ──► COMPLETE
   ▲  the queue's clock │ the idle clock │
   └────────────────────┴── INCOMPLETE ◄─┘   at most `MAX_BEGINNINGS` times

The library never gives up by itself, and calls a fault of our disk by the words that a peer may use: what ends a
download, and as what, is decided here. Nor does it ask twice, and a request that went with a connection that was just
closing is lost: a peer that does not begin is asked again, and for our place in its queue. Peers that have the file in
their queue ignore the one, and many the other.
"""

import asyncio
import errno
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from aioslsk.exceptions import AioSlskException
from aioslsk.protocol.messages import PeerPlaceInQueueRequest, PeerTransferQueue
from aioslsk.transfer.model import FailReason, Transfer, TransferDirection
from aioslsk.transfer.state import TransferState
from aioslsk.user.model import UserStatus

from libs.clock import Clock
from services.acquisition.domain import listings
from services.acquisition.domain.candidates import RemoteFile
from services.acquisition.domain.peer_faults import (
    PeerOffline,
    QueueTimeout,
    TransferBroken,
    TransferRejected,
    TransferStalled,
    TransferTooSlow,
)
from services.acquisition.soulseek.client import Client, end_tasks
from services.acquisition.soulseek.errors import LocalDiskError, SizeMismatch, TransferTaken

TICK_SECONDS = 0.1
MAX_BEGINNINGS = 3
FIRST_QUESTION_SECONDS = 5.0
ASK_AGAIN_SECONDS = 60.0
_ASKED_AT_LEAST = 4  # times within the queue's timeout
SLOW_SECONDS = 300.0
SLOW_BYTES = 300 * 5 * 1024  # in that time, or the next candidate is worth trying
_MAX_TEXT = 200
_ACTIVE = frozenset({TransferState.INITIALIZING, TransferState.DOWNLOADING, TransferState.INCOMPLETE})


class Download:
    """A download that is watched until it ends, one way or the other."""

    def __init__(
        self,
        client: Client,
        *,
        peer: str,
        file: RemoteFile,
        target: Path,
        idle_timeout: timedelta,
        queue_timeout: timedelta,
        on_progress: Callable[[int], None],
        on_place: Callable[[int], None],
        clock: Clock,
    ) -> None:
        self._client = client
        self._peer = peer
        self._file = file
        self._name = listings.file_name(file.path)
        self._target = target
        self._idle_timeout = idle_timeout.total_seconds()
        self._queue_timeout = queue_timeout.total_seconds()
        self._on_progress = on_progress
        self._on_place = on_place
        self._place: int | None = None
        self._clock = clock
        self._changed = asyncio.Event()
        self._active_before_end = False
        self._beginnings = 0
        self._received = 0
        self._idle = self._queued = self._slow_for = 0.0
        self._ask_every = min(ASK_AGAIN_SECONDS, self._queue_timeout / _ASKED_AT_LEAST)
        self._ask_again_at = min(FIRST_QUESTION_SECONDS, self._ask_every)
        self._asking: asyncio.Task[None] | None = None
        self._slow_from = 0
        self._transfer = Transfer(peer, file.path, TransferDirection.DOWNLOAD)
        self._transfer.local_path = str(target)
        self._transfer.state_listeners.append(self)
        self._user = client.users.get_user_object(peer)  # kept: the library forgets users that nobody holds

    async def run(self) -> int:
        """Fetch the file; returns the size that the peer announced. Whatever happens, the transfer is gone after."""
        await asyncio.to_thread(self._make_room)
        if await self._client.transfers.add(self._transfer) is not self._transfer:
            raise TransferTaken(self._peer, self._name)
        try:
            await self._transfer.state.queue()
            await self._watch()
            await asyncio.to_thread(self._check_target)
            return self._file.size
        except BaseException:
            await self._end(keep=False)
            raise
        finally:
            await self._end(keep=True)

    async def on_transfer_state_changed(
        self, transfer: Transfer, old: TransferState.State, new: TransferState.State
    ) -> None:
        """Called by the library for every change."""
        self._active_before_end = old in _ACTIVE
        self._beginnings += new is TransferState.INITIALIZING
        self._changed.set()

    def _make_room(self) -> None:
        """An empty place for the file: what is there already would be resumed, whatever it is."""
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._target.unlink(missing_ok=True)
        except OSError as error:
            raise LocalDiskError(error.errno, error.strerror, str(self._target)) from error

    async def _watch(self) -> None:
        before = self._clock.monotonic()
        while self._transfer.state.VALUE is not TransferState.COMPLETE:
            await self._stay_in_queue()
            self._raise_if_over()
            await self._tick()
            now = self._clock.monotonic()
            self._count(now - before)
            before = now
        self._raise_if_other_size()
        self._on_progress(self._transfer.bytes_transfered)

    async def _tick(self) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(TICK_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _count(self, seconds: float) -> None:
        """Let the clock of the state run; a new byte resets the idle one."""
        if self._transfer.state.VALUE in _ACTIVE:
            self._idle += seconds
            self._slow_for += seconds
        elif not self._waits_for_ourselves():
            self._queued += seconds
        if self._transfer.bytes_transfered > self._received:
            self._idle = 0.0
            self._received = self._transfer.bytes_transfered
            self._on_progress(self._received)
        if self._transfer.place_in_queue and self._transfer.place_in_queue != self._place:
            self._place = self._transfer.place_in_queue
            self._on_place(self._place)
        if self._received - self._slow_from >= SLOW_BYTES:
            self._slow_for, self._slow_from = 0.0, self._received

    async def _stay_in_queue(self) -> None:
        """Ask again where it is time to; a peer that then says "Queued" has not refused."""
        if self._transfer.fail_reason == FailReason.QUEUED:
            await self._transfer.state.queue(remotely=True)
        waits = self._transfer.state.VALUE is TransferState.QUEUED and self._transfer.remotely_queued
        if waits and self._queued >= self._ask_again_at:
            self._ask_again_at = self._queued + self._ask_every
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask_again())

    async def _ask_again(self) -> None:
        asked = PeerTransferQueue.Request(self._file.path), PeerPlaceInQueueRequest.Request(self._file.path)
        with suppress(AioSlskException):  # whether the peer is gone, its status tells
            await self._client.network.send_peer_messages(self._peer, *asked)

    def _waits_for_ourselves(self) -> bool:
        """Whether the peer is busy with another file of ours: most send one at a time."""
        return any(
            transfer.username == self._peer and transfer.state.VALUE is TransferState.DOWNLOADING
            for transfer in self._client.transfers.get_downloading()
        )

    def _raise_if_over(self) -> None:
        state = self._transfer.state.VALUE
        if state is TransferState.FAILED and self._transfer.fail_reason is not None:
            raise self._failure(self._transfer.fail_reason)
        self._raise_if_other_size()
        if state not in _ACTIVE and (self._user.status is UserStatus.OFFLINE or self._transfer.queue_attempts):
            raise PeerOffline(self._peer)
        if self._idle > self._idle_timeout:
            raise TransferStalled(self._peer, self._name, f"no new byte for {self._idle_timeout:g} s")
        if self._slow_for > SLOW_SECONDS:
            raise TransferTooSlow(self._peer, self._name, SLOW_BYTES / SLOW_SECONDS / 1024)
        if self._beginnings > MAX_BEGINNINGS:
            raise TransferStalled(self._peer, self._name, f"it began {MAX_BEGINNINGS} times without an end")
        if self._queued > self._queue_timeout:
            raise QueueTimeout(self._peer, self._name, self._queue_timeout)

    def _raise_if_other_size(self) -> None:
        announced = self._transfer.filesize
        if announced is not None and announced != self._file.size:
            raise SizeMismatch(self._peer, self._name, announced, self._file.size)

    def _failure(self, reason: str) -> Exception:
        """What the library's or the peer's words mean."""
        if reason == FailReason.FILE_READ_ERROR and self._active_before_end:
            return self._disk_error()
        if reason == FailReason.CANCELLED and self._beginnings:
            return TransferBroken(self._peer, self._name, self._transfer.bytes_transfered, self._file.size)
        return TransferRejected(self._peer, self._name, f'it says "{reason[:_MAX_TEXT]}".')

    def _disk_error(self) -> LocalDiskError:
        """The library swallowed the system's error: provoke it again to tell which it was."""
        try:
            with self._target.open("ab") as file:
                file.write(b"\0")
        except OSError as error:
            return LocalDiskError(error.errno, error.strerror, str(self._target))
        return LocalDiskError(errno.EIO, "writing failed", str(self._target))

    def _check_target(self) -> None:
        size = self._target.stat().st_size
        if size != self._file.size:
            raise SizeMismatch(self._peer, self._name, size, self._file.size)

    async def _end(self, *, keep: bool) -> None:
        """Make sure that nothing writes to the target any more; without `keep`, that nothing is left of it."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        await end_tasks([self._transfer])
        if self._transfer in self._client.transfers.transfers:
            await self._client.transfers.remove(self._transfer)
        if not keep:
            await asyncio.to_thread(self._target.unlink, missing_ok=True)
