"""A replica of the service as callers meet it; only the networks are in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as rpc

from libs import ids
from libs.clock import SystemClock
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.client import open_channel
from libs.rpc.server import Server
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.telemetry.metrics import Metrics
from libs.telemetry.tracing import LocalTracer
from libs.work.metrics import WorkMetrics
from libs.work.store import SqlWorkStore
from services.acquisition import convert, tables
from services.acquisition.app import SERVICE
from services.acquisition.audio.inspector import AudioInspector
from services.acquisition.domain.acquisitions import Acquisitions, Rules
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.bell import Bell
from services.acquisition.domain.control import Control
from services.acquisition.domain.feed import Feed
from services.acquisition.domain.providers import Taste
from services.acquisition.domain.step import Steps
from services.acquisition.metrics import AcquisitionMetrics
from services.acquisition.servicer import AcquisitionServicer
from services.acquisition.shelf import LiveShelf
from services.acquisition.steps.peers import PeerSteps
from services.acquisition.steps.staging import Staging
from services.acquisition.store import SqlAcquisitionStore
from services.acquisition.switches import SqlSwitches
from services.acquisition.worker import AcquisitionWork
from services.acquisition.workers import Workers
from tests.integration.acquisition.network import MemoryNetwork
from tests.support.knowers import KnowsNothing
from tests.support.memory_records import MemoryRecords
from tests.support.waiting import eventually

CLOCK = SystemClock()


@dataclass
class Service:
    """One replica, and the world around it."""

    stub: rpc.AcquisitionServiceStub
    network: MemoryNetwork
    slskd: MemoryNetwork
    work: AcquisitionWork
    workers: Workers
    store: SqlAcquisitionStore
    metrics: Metrics
    music: Path
    downloads: Path
    rules: Rules
    album: Album
    concurrency: int = 4
    is_ours: bool = True
    configured: frozenset[Source] = frozenset(Source)

    async def ask(
        self, album: Album | None = None, *, fallback: "pb.Source.ValueType" = pb.SOURCE_UNSPECIFIED, **fields: str
    ) -> pb.Acquisition:
        shown = convert.album_to_pb(album or self.album)
        wanted = pb.Acquisition(album=shown, source=pb.SOULSEEK, fallback=fallback)
        return await self.stub.CreateAcquisition(pb.CreateAcquisitionRequest(acquisition=wanted, **fields))

    async def get(self, name: str) -> pb.Acquisition:
        return await self.stub.GetAcquisition(pb.GetAcquisitionRequest(name=name))

    async def in_state(self, name: str, state: "pb.Acquisition.State.ValueType") -> pb.Acquisition:
        async def there() -> pb.Acquisition | None:
            found = await self.get(name)
            return found if found.state == state else None

        return await eventually(there)

    async def fetching(self, count: int = 1) -> None:
        async def there() -> bool:
            return len(self.network.fetched) >= count

        await eventually(there)

    def published(self) -> list[Path]:
        return [path for path in self.music.rglob("*") if path.is_file()]

    def staged(self) -> list[Path]:
        return [path for path in self.downloads.rglob("*") if path.is_file()]

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """The workers, until the exit."""
        running = asyncio.create_task(self.workers.run())
        try:
            yield
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


def _steps(source: Source, network: MemoryNetwork, folder: Path) -> Steps:
    return PeerSteps(
        network,
        source=source,
        knower=KnowsNothing(),
        records=MemoryRecords(),
        taste=Taste,
        inspector=AudioInspector(),
        shelf=LiveShelf(lambda: folder / "music"),
        staging=Staging(lambda: folder / "downloads"),
        clock=CLOCK,
    )


@asynccontextmanager
async def replica(database: Database, folder: Path, album: Album, network: MemoryNetwork) -> AsyncIterator[Service]:
    """A replica of the service on a database, with one network as Soulseek and another one behind slskd."""
    (folder / "music").mkdir(exist_ok=True)
    served: Service
    metrics, bell = Metrics(), Bell()
    store = SqlAcquisitionStore(database, SqlWorkStore(database, tables.engine), tokens=PageTokens(b"key"))
    counted = AcquisitionMetrics(metrics, CLOCK)
    slskd = MemoryNetwork()
    networks = {Source.SOULSEEK: network, Source.SLSKD: slskd}
    work = AcquisitionWork(
        store,
        {source: _steps(source, each, folder) for source, each in networks.items()},
        metrics=counted,
        clock=CLOCK,
        configured=lambda: served.configured,
    )
    workers = Workers(
        work,
        database,
        gates={Source.SOULSEEK: lambda: served.is_ours, Source.SLSKD: lambda: True},
        concurrency=lambda _: served.concurrency,
        metrics=counted,
        tracer=LocalTracer(),
        steps=WorkMetrics(Metrics(), CLOCK),
        bell=bell,
        clock=CLOCK,
    )
    acquisitions = Acquisitions(
        store, rules=lambda: served.rules, bell=bell, hurry=workers.hurry, clock=CLOCK, new_id=ids.new
    )
    control = Control(
        SqlSwitches(database), problems={source: lambda: "" for source in networks}, bell=bell, hurry=workers.hurry
    )
    feed = Feed(store, bell=bell)
    servicer = AcquisitionServicer(acquisitions, control=control, feed=feed)
    server = Server("127.0.0.1:0", authenticator=KeyAuthenticator(["token"], lambda: []))
    server.add(servicer, rpc.add_AcquisitionServiceServicer_to_server, SERVICE)
    async with server, open_channel(server.address, credential="token") as channel:
        served = Service(
            stub=rpc.AcquisitionServiceStub(channel),
            network=network,
            slskd=slskd,
            work=work,
            workers=workers,
            store=store,
            metrics=metrics,
            music=folder / "music",
            downloads=folder / "downloads",
            rules=Rules(music_path=str(folder / "music")),
            album=album,
        )
        yield served
    await feed.aclose()
