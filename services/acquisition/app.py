"""The acquisition service, put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as rpc

from libs import ids
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.server import Server
from libs.rpc.uses import KeyUses
from libs.service import Loop, Service
from libs.telemetry.exposition import open_exposition
from services.acquisition.batches.wiring import BatchSlice, make_batches
from services.acquisition.checks.wiring import serve_checks
from services.acquisition.domain.acquisitions import Acquisitions
from services.acquisition.domain.control import Control
from services.acquisition.domain.feed import Feed
from services.acquisition.ground import Ground, open_ground
from services.acquisition.leases.wiring import make_leases
from services.acquisition.peers.store import SqlPeerRecords
from services.acquisition.peers.wiring import serve_peers
from services.acquisition.searches.wiring import make_searches
from services.acquisition.servicer import AcquisitionServicer
from services.acquisition.settings import Settings
from services.acquisition.sources import Sources
from services.acquisition.status import make_status
from services.acquisition.store import SqlAcquisitionStore
from services.acquisition.switches import SqlSwitches
from services.acquisition.upkeep.wiring import make_upkeep
from services.acquisition.worker import AcquisitionWork
from services.acquisition.workers import Workers

SERVICE = pb.DESCRIPTOR.services_by_name["AcquisitionService"].full_name


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[Service[Server]]:
    """Constructs everything in order. Raises AppError for what the environment, the root key or the database deny."""
    async with AsyncExitStack() as stack:
        ground = await stack.enter_async_context(open_ground(settings))
        leases = make_leases(
            ground.database, tokens=ground.tokens, metrics=ground.telemetry.metrics, clock=ground.clock
        )
        records = SqlPeerRecords(
            ground.database, tokens=ground.tokens, clock=ground.clock, block=ground.wishes.peer_block
        )
        sources = Sources(ground, leases=leases.leases, records=records)
        jobs = Jobs(ground, sources)
        stack.push_async_callback(jobs.feed.aclose)
        searches = make_searches(
            ground.database,
            tokens=ground.tokens,
            gate=sources.soulseek.gate,
            kept=ground.wishes.search_time,
            network=sources.network,
            is_ours=sources.soulseek.is_ours,
            records=records,
            taste=ground.wishes.taste,
            settled=ground.live.first,
            clock=ground.clock,
        )

        uses = KeyUses(ground.live.report_key_uses, clock=ground.clock)
        server = Server(
            settings.listen,
            authenticator=KeyAuthenticator(
                ground.service_tokens, ground.live.api_keys, used=uses.note, ended=ground.live.ended_sessions
            ),
            telemetry=ground.telemetry,
            ready=ground.ready,
            certificates=ground.certificates,
        )
        jobs.serve(server)
        leases.serve(server)
        serve_peers(server, records, ground.clock)
        searches.serve(server)
        serve_checks(server, sources.soulseek.keeper, leases=leases.leases, wanted=ground.wishes, clock=ground.clock)
        status = make_status(ground, sources, find_lease=leases.leases.find)
        status.serve(server)
        await stack.enter_async_context(open_exposition(ground.telemetry.metrics, settings.listen))
        loops = [ground.live.run, uses.run, status.run, *leases.loops, *jobs.loops, *searches.loops]
        yield Service(server, telemetry=ground.telemetry, loops=loops)


class Jobs:
    """Acquisitions and batches: their use cases, the workers that bring them, and the upkeep of what has ended."""

    def __init__(self, ground: Ground, sources: Sources) -> None:
        self._ground = ground
        self._sources = sources
        self._store = SqlAcquisitionStore(ground.database, ground.jobs, tokens=ground.tokens)
        self.feed = Feed(self._store, bell=ground.bell)
        self._workers = self._make_workers()
        self._acquisitions = Acquisitions(
            self._store,
            rules=ground.wishes.rules,
            bell=ground.bell,
            hurry=self._workers.hurry,
            clock=ground.clock,
            new_id=ids.new,
        )
        self._batches = self._make_batches()
        self._switches = SqlSwitches(ground.database)
        self._upkeep = make_upkeep(
            ground.database,
            self._switches,
            kept=ground.wishes.retention,
            at=ground.wishes.cleanup_time,
            metrics=ground.telemetry.metrics,
            clock=ground.clock,
        )

    def serve(self, server: Server) -> None:
        """Adds AcquisitionService and BatchService to a server."""
        ground, hurry = self._ground, self._workers.hurry
        control = Control(self._switches, problems=self._sources.problems, bell=ground.bell, hurry=hurry)
        servicer = AcquisitionServicer(self._acquisitions, control=control, feed=self.feed)
        server.add(servicer, rpc.add_AcquisitionServiceServicer_to_server, SERVICE)
        self._batches.serve(server)
        self._upkeep.serve(server)

    @property
    def loops(self) -> list[Loop]:
        """What runs beside the server, once there are settings."""
        loops = [self._work, *self._batches.loops, *self._upkeep.loops]
        return [partial(self._once_settled, loop) for loop in loops]

    async def _once_settled(self, loop: Loop) -> None:
        await self._ground.live.first()
        await loop()

    async def _work(self) -> None:
        """Work until cancelled; the session ends after the steps that use it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sources.sweep(self._store.ended))  # beside the work: a disk may be slow, or hang
            keeping = group.create_task(self._sources.keep(self._store.ended))
            try:
                await self._workers.run()
            finally:
                keeping.cancel()

    def _make_workers(self) -> Workers:
        ground, sources = self._ground, self._sources
        work = AcquisitionWork(
            self._store,
            sources.steps,
            metrics=ground.metrics,
            clock=ground.clock,
            configured=ground.wishes.configured,
        )
        return Workers(
            work,
            ground.database,
            gates=sources.gates,
            concurrency=ground.wishes.concurrency,
            metrics=ground.metrics,
            tracer=ground.telemetry.tracer,
            steps=ground.work,
            bell=ground.bell,
            clock=ground.clock,
        )

    def _make_batches(self) -> BatchSlice:
        return make_batches(
            self._ground.database,
            tokens=self._ground.tokens,
            telemetry=self._ground.telemetry,
            steps=self._ground.work,
            clock=self._ground.clock,
            bell=self._ground.bell,
            ask=self._acquisitions.create,
            hurry=self._workers.hurry,
        )
