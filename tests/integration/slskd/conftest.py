"""A slskd of pretence, and our side of it with short waits."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from deploy.demo.albums import Album, invent_albums
from deploy.demo.slskd.peers import SlskdPeer, sharing
from deploy.demo.slskd.world import SlskdWorld
from libs.clock import SystemClock
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.candidates import RemoteFile
from services.acquisition.domain.providers import SlskdAddress
from services.acquisition.metrics import DownloadMetrics
from services.acquisition.slskd.client import SlskdClient
from services.acquisition.slskd.network import SlskdNetwork
from services.acquisition.slskd.patience import Paces
from services.acquisition.soulseek.network import TimeLimits
from services.acquisition.soulseek.search_gate import SearchGate
from services.acquisition.soulseek.search_log import MemorySearchLog
from tests.support.spans import RecordingTracer

SHORT = timedelta(seconds=0.01)
PACES = Paces(
    poll=SHORT,
    failing=timedelta(seconds=1),
    resuming=timedelta(seconds=1),
    landing=timedelta(seconds=0.3),
    ending=timedelta(seconds=5),
    tending=SHORT,
)


@dataclass
class Station:
    """A slskd, and what we know of it. A new `network` is what another process of ours has."""

    slskd: SlskdWorld
    folder: Path
    staging: Path
    http: httpx.AsyncClient
    address: SlskdAddress | None = None
    limits: TimeLimits = field(
        default_factory=lambda: TimeLimits(
            search=timedelta(seconds=0.1), idle=timedelta(seconds=20), queue=timedelta(seconds=20)
        )
    )
    gap: timedelta = timedelta()
    received: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    tracer: RecordingTracer = field(default_factory=RecordingTracer)

    def __post_init__(self) -> None:
        self.address = SlskdAddress(url=self.slskd.url, api_key=self.slskd.api_key, download_path=self.folder)
        self.client = SlskdClient(
            self.http, address=lambda: self.address, tracer=self.tracer, pause=SHORT.total_seconds
        )
        self.network = self.another()

    def another(self) -> SlskdNetwork:
        """The network of another process."""
        self.metrics = Metrics()
        return SlskdNetwork(
            self.client,
            address=lambda: self.address,
            limits=lambda: self.limits,
            gate=SearchGate(MemorySearchLog(), clock=SystemClock(), gap=self.gap),
            metrics=DownloadMetrics(self.metrics, SystemClock(), prefix="slskd"),
            clock=SystemClock(),
            paces=PACES,
        )

    def readdress(self, **changes: object) -> None:
        assert self.address is not None
        self.address = replace(self.address, **changes)  # type: ignore[arg-type]  # the fields, as they are

    def target(self, name: str = "01", *, attempt: int = 1) -> Path:
        return self.staging / "acq-1" / str(attempt) / f"{name}.flac"

    async def fetch(self, peer: SlskdPeer, path: str = "", *, target: Path | None = None) -> int:
        """The file of a peer, the first unless said otherwise."""
        return await self.network.download(
            peer.username,
            offered(peer, path),
            target or self.target(),
            on_bytes=self.received.append,
            on_place=self.places.append,
        )

    def listed(self) -> list[str]:
        """The states of the downloads that slskd shows."""
        return [one.state for one in self.slskd.downloads.transfers.values() if not one.hidden]

    def left(self) -> list[Path]:
        """What is in slskd's folder."""
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


def offered(peer: SlskdPeer, path: str = "") -> RemoteFile:
    path = path or next(iter(peer.files))
    return RemoteFile(path=path, size=len(peer.files[path]))


@pytest.fixture(scope="session")
def album() -> Album:
    return invent_albums(1, seed=5, tracks=2)[0]


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    folder = tmp_path / "slskd"
    folder.mkdir()
    async with SlskdWorld(folder) as slskd, httpx.AsyncClient(trust_env=False, verify=False) as http:
        yield Station(slskd=slskd, folder=folder, staging=tmp_path / "staging", http=http)


@pytest.fixture
def ada(station: Station, album: Album) -> SlskdPeer:
    """An honest peer."""
    return station.slskd.join(sharing("ada", album))
