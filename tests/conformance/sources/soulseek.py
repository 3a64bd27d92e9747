"""The embedded client on a Soulseek network of loopback."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from pathlib import Path

from deploy.demo.albums import Album
from deploy.demo.soulseek.plan import Behaviour, PeerPlan
from deploy.demo.soulseek.world import SoulseekWorld
from libs.clock import SystemClock
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.step import Steps
from services.acquisition.soulseek.account import Account
from services.acquisition.soulseek.errors import ServerUnreachable
from services.acquisition.soulseek.keeper import KeeperState, SessionKeeper
from services.acquisition.soulseek.metrics import SoulseekMetrics
from services.acquisition.soulseek.network import SoulseekNetwork, TimeLimits
from services.acquisition.soulseek.search_gate import SearchGate
from services.acquisition.soulseek.search_log import MemorySearchLog
from services.acquisition.soulseek.session import SoulseekSession, open_session
from tests.conformance.sources.world import SEARCH_SECONDS, WAIT_SECONDS, Disks
from tests.support.waiting import eventually

PAUSE = timedelta(seconds=0.05)
SLOW = 1000  # bytes/s that an honest peer says of itself, so that the others are asked first


class SoulseekSource:
    """Implements `world.PeerWorld`."""

    source = Source.SOULSEEK

    def __init__(self, network: SoulseekWorld, disks: Disks, album: Album, scratch: Path) -> None:
        self.album = album
        self.disks = disks
        self._network = network
        self._is_up = True
        self._limits = TimeLimits(
            search=timedelta(seconds=SEARCH_SECONDS),
            idle=timedelta(seconds=WAIT_SECONDS),
            queue=timedelta(seconds=WAIT_SECONDS),
        )
        self._metrics = SoulseekMetrics(Metrics(), SystemClock())
        self._gate = SearchGate(MemorySearchLog(), clock=SystemClock(), gap=timedelta())
        self._scratch = scratch
        self.keeper = SessionKeeper(
            hold=lambda _name: nullcontext(),
            open_session=self._open,
            metrics=self._metrics,
            clock=SystemClock(),
            first_pause=PAUSE,
            lease_pause=PAUSE,
        )

    def steps(self) -> Steps:
        """The session is the process's; everything else is new."""
        return self.disks.steps(SoulseekNetwork(self.keeper, limits=lambda: self._limits), self.source)

    async def offer(self) -> None:
        await self._network.join(PeerPlan(username="honest", albums=(self.album,), speed=SLOW))

    async def offer_wrong_content(self, peer: str) -> None:
        await self._network.join(PeerPlan(username=peer, albums=(self.album,), behaviour=Behaviour.OTHER_TAGS))

    async def offer_what_hangs(self) -> None:
        plan = PeerPlan(username="honest", albums=(self.album,), behaviour=Behaviour.STALLING, gives=1000)
        await self._network.join(plan)

    async def is_hanging(self) -> bool:
        return bool(self._network.peers["honest"].uploads)

    def hurry(self) -> None:
        self._limits = TimeLimits(search=timedelta(seconds=0.1))

    async def go_away(self) -> None:
        self._is_up = False
        self._network.server.drop("lockgroove")
        await self._until(KeeperState.AWAY)

    async def come_back(self) -> None:
        self._is_up = True
        await self._until(KeeperState.CONNECTED)

    async def forget_credentials(self) -> None:
        self.keeper.follow(None)
        await self._until(KeeperState.OFF)

    def deliveries(self) -> Counter[str]:
        return Counter(upload.remote_path for peer in self._network.peers.values() for upload in peer.uploads)

    def leftovers(self) -> list[str]:
        transfers = self.keeper.session()._client.transfers.transfers  # nobody else needs to know
        return [transfer.remote_path for transfer in transfers] + [str(path) for path in self.disks.staged()]

    async def meddle(self) -> object:
        return self.foreign()

    def foreign(self) -> object:
        return self.disks.foreign.read_bytes()

    async def _until(self, state: KeeperState) -> None:
        async def reached() -> bool:
            return self.keeper.state is state

        await eventually(reached, every=0.01)

    @asynccontextmanager
    async def _open(self, account: Account) -> AsyncIterator[SoulseekSession]:
        if not self._is_up:
            raise ServerUnreachable(account.server)
        async with open_session(
            account, folder=self._scratch, gate=self._gate, metrics=self._metrics, clock=SystemClock()
        ) as session:
            yield session


@asynccontextmanager
async def open_soulseek(root: Path, album: Album) -> AsyncIterator[SoulseekSource]:
    """A network without peers, and our session on it."""
    async with SoulseekWorld(root / "peers", ()) as network:
        world = SoulseekSource(network, Disks(root), album, root / "unused")
        account = Account(
            server_host=network.host,
            server_port=network.port,
            username="lockgroove",
            password="demo",
            listen_host="127.0.0.1",
            listen_port=0,
        )
        world.keeper.follow(account)
        keeping = asyncio.create_task(world.keeper.run())
        try:
            await world.come_back()
            yield world
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
