"""A peer of our own protocol code, for what a real client cannot do: stall, lie about size, share impossible names."""

import asyncio
import contextlib
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aioslsk.protocol import messages as wire
from aioslsk.protocol.primitives import Attribute, AttributeKey, FileData, calc_md5, uint32
from aioslsk.transfer.model import TransferDirection

from deploy.demo import synth
from deploy.demo.albums import Album, Track, album_files, padded
from deploy.demo.soulseek.framing import read_frame
from deploy.demo.soulseek.plan import Behaviour, PeerPlan, Upload
from deploy.demo.soulseek.server import HOST

_CLIENT_VERSION = (160, 1)
_SAYS_QUEUED = 2  # the request to which a forgetful peer says so
_CHUNK = 64 * 1024
_PLACE = 3  # in the queue of a queueing peer


@dataclass(frozen=True, slots=True)
class _Offer:
    """A file that is waiting for the downloader's word, and how many bytes we said it has."""

    downloader: str
    remote_path: str
    announced: int


class ScriptedPeer:
    """Logs in, answers searches, and sends files as its plan says."""

    def __init__(self, server: tuple[str, int], plan: PeerPlan) -> None:
        self.uploads: list[Upload] = []
        self._server = server
        self._plan = plan
        self._files = dict(_shared_files(plan))
        self._tickets = itertools.count(1)
        self._offers: dict[int, _Offer] = {}
        self._asked: Counter[str] = Counter()
        self._addresses: dict[str, asyncio.Future[tuple[str, int]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._to_server: asyncio.StreamWriter | None = None

    async def start(self) -> None:
        """Listen for peers and log in; raises ConnectionError if the server says no."""
        self._listener = await asyncio.start_server(self._serve, HOST, 0)
        reader, self._to_server = await asyncio.open_connection(*self._server)
        name, password = self._plan.username, f"password of {self._plan.username}"
        self._tell(
            wire.Login.Request(name, password, _CLIENT_VERSION[0], calc_md5(name + password), _CLIENT_VERSION[1])
        )
        answer = wire.ServerMessage.deserialize_response(await read_frame(reader))
        if not answer.success:
            raise ConnectionError(f"{name} may not log in: {answer.reason}")
        self._tell(wire.SetListenPort.Request(self._listener.sockets[0].getsockname()[1]))
        self._tell(wire.SharedFoldersFiles.Request(len(self._plan.albums), len(self._files)))
        self._spawn(self._listen_to_server(reader))

    async def stop(self) -> None:
        """Go offline, breaking what is under way."""
        if self._listener is not None:
            self._listener.close()
        if self._to_server is not None:
            self._to_server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen_to_server(self, reader: asyncio.StreamReader) -> None:
        while frame := await read_frame(reader):
            message = wire.ServerMessage.deserialize_response(frame)
            if isinstance(message, wire.FileSearch.Response):
                self._spawn(self._answer_search(message))
            elif isinstance(message, wire.GetPeerAddress.Response) and (
                asked := self._addresses.pop(message.username, None)
            ):
                asked.set_result((message.ip, message.port))

    async def _answer_search(self, search: Any) -> None:
        words = re.findall(r"\w+", search.query.lower())
        hits = [path for path in self._files if set(words) <= set(re.findall(r"\w+", path.lower()))]
        if not hits or not words:
            return
        async with self._connected(search.username, "P") as (reader, writer):
            writer.write(
                wire.PeerSearchReply.Request(
                    username=self._plan.username,
                    ticket=search.ticket,
                    results=[self._hit(path) for path in hits],
                    has_slots_free=True,
                    avg_speed=self._plan.speed,
                    queue_size=0,
                    locked_results=[],
                ).serialize()
            )
            await reader.read()  # until the other side hangs up

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await self._converse(reader, writer)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting = wire.PeerInitializationMessage.deserialize_request(await read_frame(reader))
        while frame := await read_frame(reader):
            message = wire.PeerMessage.deserialize_request(frame)
            if isinstance(message, wire.PeerPlaceInQueueRequest.Request):
                writer.write(wire.PeerPlaceInQueueReply.Request(message.filename, _PLACE).serialize())
            elif isinstance(message, wire.PeerTransferQueue.Request):
                self._offer(greeting.username, message.filename, writer)
            elif isinstance(message, wire.PeerTransferReply.Request) and message.allowed:
                self._spawn(self._upload(message.ticket, self._offers.pop(message.ticket)))

    def _offer(self, downloader: str, path: str, writer: asyncio.StreamWriter) -> None:
        if path not in self._files:
            writer.write(wire.PeerTransferQueueFailed.Request(path, "File not shared.").serialize())
            return
        if self._plan.behaviour is Behaviour.QUEUEING:
            return
        if self._plan.behaviour is Behaviour.FORGETFUL and not self._remembers(path, writer):
            return
        _, file = self._files[path]
        announced = len(file) // 2 if self._plan.behaviour is Behaviour.SHORT else len(file)
        ticket = next(self._tickets)
        self._offers[ticket] = _Offer(downloader, path, announced)
        direction = TransferDirection.DOWNLOAD.value
        writer.write(wire.PeerTransferRequest.Request(direction, ticket, path, filesize=announced).serialize())

    def _remembers(self, path: str, writer: asyncio.StreamWriter) -> bool:
        self._asked[path] += 1
        if self._asked[path] == _SAYS_QUEUED:
            writer.write(wire.PeerTransferQueueFailed.Request(path, "Queued").serialize())
        return self._asked[path] >= _SAYS_QUEUED

    async def _upload(self, ticket: int, offer: _Offer) -> None:
        upload = Upload(downloader=offer.downloader, remote_path=offer.remote_path)
        async with self._connected(offer.downloader, "F") as (reader, writer):
            writer.write(uint32(ticket).serialize())
            offset = int.from_bytes(await reader.readexactly(8), "little")
            self.uploads.append(upload)
            end = self._plan.gives if self._plan.behaviour is Behaviour.STALLING else offer.announced
            upload.sent = max(0, end - offset)
            writer.write(self._files[offer.remote_path][1][offset:end])
            await writer.drain()
            while self._plan.behaviour is Behaviour.ENDLESS:
                writer.write(bytes(_CHUNK))
                await writer.drain()
            await reader.read()  # until the other side hangs up
            upload.complete = end == offer.announced

    @asynccontextmanager
    async def _connected(
        self, username: str, kind: str
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(*await self._address(username))
        try:
            writer.write(wire.PeerInit.Request(self._plan.username, kind, 0).serialize())
            yield reader, writer
        finally:
            writer.close()

    async def _address(self, username: str) -> tuple[str, int]:
        asked = self._addresses.get(username)
        if asked is None:
            asked = self._addresses[username] = asyncio.get_running_loop().create_future()
            self._tell(wire.GetPeerAddress.Request(username))
        return await asyncio.shield(asked)

    def _tell(self, message: Any) -> None:
        assert self._to_server is not None
        self._to_server.write(message.serialize())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # the other side is gone: nothing to do
                await work

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _hit(self, path: str) -> FileData:
        track, file = self._files[path]
        attributes = {
            AttributeKey.DURATION: int(track.seconds),
            AttributeKey.SAMPLE_RATE: synth.RATE,
            AttributeKey.BIT_DEPTH: 16,
        }
        listed = [Attribute(key.value, value) for key, value in attributes.items()]
        return FileData(unknown=1, filename=path, filesize=len(file), extension="flac", attributes=listed)


@asynccontextmanager
async def open_scripted_peer(server: tuple[str, int], plan: PeerPlan) -> AsyncIterator[ScriptedPeer]:
    """A scripted peer that is online."""
    peer = ScriptedPeer(server, plan)
    try:
        await peer.start()
        yield peer
    finally:
        await peer.stop()


def _shared_files(plan: PeerPlan) -> Iterator[tuple[str, tuple[Track, bytes]]]:
    name = plan.remote_path or _remote_path
    for album in plan.albums:
        for track, file in zip(album.tracks, album_files(album), strict=True):
            yield name(album, track), (track, file if plan.size is None else padded(file, plan.size))


def _remote_path(album: Album, track: Track) -> str:
    return f"@@music\\{album.folder_name}\\{track.file_name}"
