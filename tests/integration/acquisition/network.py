"""A network of peers in memory: what they offer, and how they fail."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.acquisition.domain.candidates import Candidate, RemoteFile
from services.acquisition.domain.peers import PeerFailed, PeerNetworkFault


@dataclass
class Peer:
    """One peer: the content of its files by remote path, or the fault that whoever asks for them gets."""

    name: str
    files: dict[str, bytes]
    fault: BaseException | None = None
    faults: dict[str, BaseException] = field(default_factory=dict)  # of single files
    claims: dict[str, int] = field(default_factory=dict)  # of every file: what its search answer says beside the size
    place: int = 0  # in its queue, for everybody who asks
    hangs: bool = False
    hangs_after: int = 0  # bytes

    @property
    def offer(self) -> Candidate:
        folder = next(iter(self.files)).rpartition("\\")[0]
        claims: dict[str, Any] = dict(self.claims)
        files = tuple(RemoteFile(path=path, size=len(content), **claims) for path, content in self.files.items())
        return Candidate(peer=self.name, folder=folder, files=files, free_slot=True)


@dataclass
class MemoryNetwork:
    """Implements `domain.peers.PeerNetwork`."""

    peers: list[Peer] = field(default_factory=list)
    fault: PeerNetworkFault | None = None
    asked: list[str] = field(default_factory=list)
    fetched: list[tuple[str, str]] = field(default_factory=list)
    aborted: int = 0

    async def search(self, query: str) -> Sequence[Candidate]:
        self.asked.append(query)
        if self.fault is not None:
            raise self.fault
        return [peer.offer for peer in self.peers]

    async def download(
        self,
        peer: str,
        file: RemoteFile,
        target: Path,
        *,
        on_bytes: Callable[[int], None],
        on_place: Callable[[int], None] | None = None,
    ) -> int:
        if self.fault is not None:
            raise self.fault
        sender = next((one for one in self.peers if one.name == peer), None)
        if sender is None:
            raise PeerFailed("PEER_OFFLINE", f"{peer} is offline.")
        self.fetched.append((peer, file.path))
        if on_place is not None and sender.place:
            on_place(sender.place)
        if sender.hangs or sender.hangs_after:
            await self._hang(sender.hangs_after, on_bytes)
        if fault := sender.fault or sender.faults.get(file.path):
            raise fault
        content = sender.files[file.path]
        target.write_bytes(content)
        on_bytes(len(content))
        return len(content)

    async def _hang(self, after: int, on_bytes: Callable[[int], None]) -> None:
        try:
            if after:
                on_bytes(after)
            await asyncio.Event().wait()
        finally:
            self.aborted += 1
