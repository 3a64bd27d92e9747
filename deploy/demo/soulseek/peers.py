"""The peers that are real clients: the honest, those with wrong files, and the one that vanishes in mid-transfer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from aioslsk.events import TransferAddedEvent, TransferProgressEvent
from aioslsk.transfer.state import TransferState

from deploy.demo.soulseek.client import LoopbackClient, open_client
from deploy.demo.soulseek.plan import Behaviour, PeerPlan, Upload
from deploy.demo.soulseek.spoil import write_shared


class Peer(Protocol):
    """A peer of the world, real or scripted. `uploads` holds every file it began to send, oldest first."""

    uploads: list[Upload]

    async def stop(self) -> None:
        """Go offline, breaking what is under way."""
        ...


class RealPeer:
    """A real client that shares a folder and keeps a record of what it sends."""

    def __init__(self, client: LoopbackClient) -> None:
        self.uploads: list[Upload] = []
        self._client = client
        self._running: dict[int, Upload] = {}
        self._limit: int | None = None
        self._limit_reached = asyncio.Event()
        client.events.register(TransferAddedEvent, self._on_transfer_added)
        client.events.register(TransferProgressEvent, self._on_transfer_progress)

    async def stop(self) -> None:
        """Go offline, breaking what is under way."""
        await self._client.stop()

    async def stop_after(self, gives: int) -> None:
        """Go offline once a single upload has come to this many bytes."""
        self._limit = gives
        await self._limit_reached.wait()
        await self.stop()

    async def on_transfer_state_changed(
        self, transfer: Any, old: TransferState.State, new: TransferState.State
    ) -> None:
        """Called by the client for every change of a transfer's state."""
        if new == TransferState.UPLOADING:
            upload = Upload(downloader=transfer.username, remote_path=transfer.remote_path)
            self._running[id(transfer)] = upload
            self.uploads.append(upload)
        elif old == TransferState.UPLOADING and (ended := self._running.pop(id(transfer), None)):
            ended.sent = transfer.bytes_transfered
            ended.complete = new == TransferState.COMPLETE

    async def _on_transfer_added(self, event: TransferAddedEvent) -> None:
        event.transfer.state_listeners.append(self)

    async def _on_transfer_progress(self, event: TransferProgressEvent) -> None:
        for transfer, _previous, current in event.updates:
            if upload := self._running.get(id(transfer)):
                upload.sent = current.bytes_transfered
                if self._limit is not None and upload.sent >= self._limit:
                    self._limit_reached.set()


@asynccontextmanager
async def open_real_peer(server: tuple[str, int], plan: PeerPlan, folder: Path) -> AsyncIterator[RealPeer]:
    """A real client that is online and shares the plan's albums from a folder of its own."""
    shared = folder / plan.username
    shared.mkdir(parents=True, exist_ok=True)
    for album in plan.albums:
        write_shared(album, shared, plan.behaviour, size=plan.size)
    async with open_client(
        server,
        plan.username,
        f"password of {plan.username}",
        download=folder,
        shared=[shared],
        upload_kbps=plan.upload_kbps,
        advertised_speed=plan.speed,
    ) as client:
        peer = RealPeer(client)
        async with _vanishing(peer, plan.gives) if plan.behaviour is Behaviour.VANISHING else contextlib.nullcontext():
            yield peer


@asynccontextmanager
async def _vanishing(peer: RealPeer, gives: int) -> AsyncIterator[None]:
    watch = asyncio.create_task(peer.stop_after(gives))
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
