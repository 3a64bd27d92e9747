"""slskd, as the pretended one behaves."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx

from deploy.demo.albums import Album, invent_albums
from deploy.demo.slskd.peers import Conduct, sharing
from deploy.demo.slskd.world import SlskdWorld
from libs.clock import SystemClock
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.providers import SlskdAddress
from services.acquisition.domain.step import Steps
from services.acquisition.metrics import DownloadMetrics
from services.acquisition.slskd.client import SlskdClient
from services.acquisition.slskd.network import SlskdNetwork
from services.acquisition.slskd.patience import Paces
from services.acquisition.soulseek.network import TimeLimits
from services.acquisition.soulseek.search_gate import SearchGate
from services.acquisition.soulseek.search_log import MemorySearchLog
from services.acquisition.steps.slskd import SlskdSteps
from tests.conformance.sources.world import WAIT_SECONDS, Disks

PACES = Paces(poll=timedelta(seconds=0.02))


class SlskdSource:
    """Implements `world.PeerWorld`."""

    source = Source.SLSKD

    def __init__(self, slskd: SlskdWorld, http: httpx.AsyncClient, disks: Disks, folder: Path, album: Album) -> None:
        self.album = album
        self.disks = disks
        self.slskd = slskd
        self._http = http
        self._folder = folder
        self._address: SlskdAddress | None = SlskdAddress(url=slskd.url, api_key=slskd.api_key, download_path=folder)
        self._limits = TimeLimits(
            search=timedelta(seconds=0.05),
            idle=timedelta(seconds=WAIT_SECONDS),
            queue=timedelta(seconds=WAIT_SECONDS),
        )

    def steps(self) -> Steps:
        network = SlskdNetwork(
            SlskdClient(self._http, address=lambda: self._address, pause=lambda: 0.01),
            address=lambda: self._address,
            limits=lambda: self._limits,
            gate=SearchGate(MemorySearchLog(), clock=SystemClock(), gap=timedelta()),
            metrics=DownloadMetrics(Metrics(), SystemClock(), prefix="slskd"),
            clock=SystemClock(),
            paces=PACES,
        )
        return SlskdSteps(self.disks.steps(network, self.source), network)

    async def offer(self) -> None:
        peer = sharing("honest", self.album)
        peer.free_slot = False
        self.slskd.join(peer)

    async def offer_wrong_content(self, peer: str) -> None:
        self.slskd.join(sharing(peer, self.album, conduct=Conduct.SPOILED))

    async def offer_what_hangs(self) -> None:
        self.slskd.join(sharing("honest", self.album, conduct=Conduct.STALLING))

    async def is_hanging(self) -> bool:
        return any(transfer.received for transfer in self.slskd.downloads.transfers.values())

    def hurry(self) -> None:
        """It is quick already."""

    async def go_away(self) -> None:
        await self.slskd.go_down()

    async def come_back(self) -> None:
        await self.slskd.come_back()

    async def forget_credentials(self) -> None:
        self._address = None

    def deliveries(self) -> Counter[str]:
        return Counter(
            transfer.filename for transfer in self.slskd.downloads.transfers.values() if transfer.username != "stranger"
        )

    def leftovers(self) -> list[str]:
        listed = [
            transfer.state
            for transfer in self.slskd.downloads.transfers.values()
            if transfer.username != "stranger" and not (transfer.hidden and transfer.is_over)
        ]
        searches = list(self.slskd.searches.rows)
        return listed + searches + [str(path) for path in (*self.disks.staged(), *self._folder.rglob("lockgroove"))]

    async def meddle(self) -> object:
        other = sharing("stranger", *invent_albums(1, seed=77, tracks=1), conduct=Conduct.QUEUEING)
        name, content = next(iter(other.files.items()))
        self.slskd.downloads.begin(self.slskd.join(other), name, len(content))
        return self.foreign()

    def foreign(self) -> object:
        [transfer] = [one for one in self.slskd.downloads.transfers.values() if one.username == "stranger"]
        return (self.disks.foreign.read_bytes(), transfer.is_over, transfer.hidden)


@asynccontextmanager
async def open_slskd(root: Path, album: Album) -> AsyncIterator[SlskdSource]:
    """A slskd without peers."""
    folder = root / "slskd"
    folder.mkdir()
    async with SlskdWorld(folder) as slskd, httpx.AsyncClient(trust_env=False, verify=False) as http:
        yield SlskdSource(slskd, http, Disks(root), folder, album)
