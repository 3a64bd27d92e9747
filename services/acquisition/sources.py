"""The sources of albums, each put together from its parts."""

import asyncio
from datetime import timedelta
from pathlib import Path

from libs.errors import AppError
from libs.leases.hold import LeaseStore, hold
from libs.outbound.breaker import Breaker
from libs.telemetry.logger import get_logger
from services.acquisition import tables
from services.acquisition.audio.inspector import AudioInspector
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.peers import PeerNetwork
from services.acquisition.domain.providers import LibraryOwner
from services.acquisition.domain.publishing import Shelf
from services.acquisition.domain.reputation import PeerRecords
from services.acquisition.domain.step import Steps
from services.acquisition.ground import Ground
from services.acquisition.knowledge.wiring import open_knower
from services.acquisition.library import Ended
from services.acquisition.lidarr.client import LidarrClient
from services.acquisition.lidarr.importer import LidarrImporter
from services.acquisition.lidarr.shelf import LidarrShelf, as_seen
from services.acquisition.lidarr.source import LidarrSource
from services.acquisition.live import Wishes
from services.acquisition.metrics import DownloadMetrics
from services.acquisition.shelf import ChosenShelf, LiveShelf
from services.acquisition.slskd.client import SlskdClient
from services.acquisition.slskd.network import SlskdNetwork
from services.acquisition.soulseek.keeper import KeeperState, SessionKeeper
from services.acquisition.soulseek.metrics import SoulseekMetrics
from services.acquisition.soulseek.network import SoulseekNetwork
from services.acquisition.soulseek.opener import SessionOpener
from services.acquisition.soulseek.search_gate import SearchGate
from services.acquisition.soulseek.search_log import SqlSearchLog
from services.acquisition.steps.lidarr import LidarrSteps
from services.acquisition.steps.peers import PeerSteps
from services.acquisition.steps.slskd import SlskdSteps
from services.acquisition.steps.staging import Staging

log = get_logger()

SESSION_TTL = timedelta(seconds=15)  # for which a crash keeps the next process from logging in

# Without an account anybody may say so; with one, the work is for the process that holds the account's lease.
_OURS = frozenset(KeeperState) - {KeeperState.WAITING}


class Shelves:
    """Where verified albums go: into the library that we keep, or to Lidarr, as the setting says at the moment."""

    def __init__(self, wishes: Wishes, lidarr: LidarrClient) -> None:
        self._wishes = wishes
        self.own = LiveShelf(wishes.music, minimum_free=wishes.minimum_free)
        importer = LidarrImporter(lidarr, LidarrSource(lidarr, choices=wishes.choices), as_seen=self._as_seen)
        self._lidarr = LidarrShelf(
            importer, minimum_free=wishes.minimum_free, patience=lambda: wishes.times().idle_timeout
        )
        self.chosen = ChosenShelf(self._choose)

    def _choose(self) -> Shelf:
        return self._lidarr if self._wishes.library_owner() is LibraryOwner.LIDARR else self.own

    def _as_seen(self, path: Path) -> str:
        return as_seen(path, downloads=self._wishes.downloads(), theirs=self._wishes.lidarr_downloads())


class Stages:
    """What every network of peers needs around it: who knows albums and peers, where files are staged and go to."""

    def __init__(self, ground: Ground, lidarr: LidarrClient, *, records: PeerRecords) -> None:
        self._wishes, self._clock, self._records = ground.wishes, ground.clock, records
        self._shelves = Shelves(ground.wishes, lidarr)
        self._staging = Staging(ground.wishes.downloads)
        self.breakers: dict[str, Breaker] = {}
        self._knower = open_knower(
            ground.database,
            ground.http,
            lidarr=lidarr,
            musicbrainz=ground.wishes.musicbrainz,
            lastfm=ground.wishes.lastfm,
            breakers=self.breakers,
            telemetry=ground.telemetry,
            clock=ground.clock,
        )

    def steps(self, network: PeerNetwork, source: Source) -> PeerSteps:
        """The steps of acquisitions through a network."""
        return PeerSteps(
            network,
            source=source,
            knower=self._knower,
            records=self._records,
            taste=self._wishes.taste,
            inspector=AudioInspector(),
            shelf=self._shelves.chosen,
            staging=self._staging,
            clock=self._clock,
        )

    async def sweep(self, ended: Ended) -> None:
        """Remove what acquisitions that have ended left on the disks; `ended` tells which did."""
        try:
            await self._staging.sweep(ended)
            await self._shelves.own.sweep(ended)
        except AppError as error:  # the next start tries again
            log.warning("acquisition.not_swept", reason=error.code_reason)


class Soulseek:
    """The session, and the steps that use it."""

    def __init__(self, ground: Ground, stages: Stages, *, leases: LeaseStore) -> None:
        wishes, clock = ground.wishes, ground.clock
        metrics = SoulseekMetrics(ground.telemetry.metrics, clock, ground.telemetry.tracer)
        self.gate = SearchGate(SqlSearchLog(ground.database, tables.soulseek_search), clock=clock)
        self.keeper = SessionKeeper(
            hold=lambda name: hold(leases, name, ttl=SESSION_TTL, clock=clock),
            open_session=SessionOpener(folder=ground.home / "soulseek", gate=self.gate, metrics=metrics, clock=clock),
            metrics=metrics,
            clock=clock,
        )
        self.network = SoulseekNetwork(self.keeper, limits=wishes.limits, clock=clock)
        self.steps = stages.steps(self.network, Source.SOULSEEK)
        ground.live.subscribe(lambda _: self.keeper.follow(wishes.account(), problem=wishes.soulseek_problem()))
        ground.live.subscribe(lambda _: self.keeper.share(wishes.sharing()))

    def problem(self) -> str:
        """Why Soulseek cannot be used, and what to do; empty while it can, be it by another process."""
        return "" if self.keeper.state is KeeperState.WAITING else self.keeper.message

    def is_ours(self) -> bool:
        """Whether acquisitions through Soulseek are for this process, at the moment."""
        return self.keeper.state in _OURS


class Slskd:
    """The steps that use the slskd of the moment. `gate` is that of our own session: both ask the same server."""

    def __init__(self, ground: Ground, stages: Stages, *, gate: SearchGate) -> None:
        wishes, clock = ground.wishes, ground.clock
        self.client = SlskdClient(
            ground.http, address=wishes.slskd, problem=wishes.slskd_problem, tracer=ground.telemetry.tracer
        )
        self.network = SlskdNetwork(
            self.client,
            address=wishes.slskd,
            problem=wishes.slskd_problem,
            limits=wishes.limits,
            gate=gate,
            metrics=DownloadMetrics(ground.telemetry.metrics, clock, prefix="slskd", tracer=ground.telemetry.tracer),
            clock=clock,
        )
        self.steps = SlskdSteps(stages.steps(self.network, Source.SLSKD), self.network)

    async def sweep(self, ended: Ended) -> None:
        """Remove what acquisitions that have ended left in slskd's folder; `ended` tells which did."""
        try:
            await self.network.sweep(ended)
        except AppError as error:  # the next start tries again
            log.warning("acquisition.not_swept", reason=error.code_reason)


class Sources:
    """All sources of one process: their steps, and which of them it may work on at the moment."""

    def __init__(self, ground: Ground, *, leases: LeaseStore, records: PeerRecords) -> None:
        self._wishes = wishes = ground.wishes
        self.lidarr = lidarr = LidarrClient(
            ground.http,
            address=wishes.lidarr,
            problem=wishes.lidarr_problem,
            clock=ground.clock,
            metrics=ground.metrics,
            tracer=ground.telemetry.tracer,
        )
        source = LidarrSource(lidarr, choices=wishes.choices)
        self._stages = Stages(ground, lidarr, records=records)
        self.breakers = self._stages.breakers
        self.soulseek = Soulseek(ground, self._stages, leases=leases)
        self.slskd = Slskd(ground, self._stages, gate=self.soulseek.gate)
        self.steps: dict[Source, Steps] = {
            Source.SOULSEEK: self.soulseek.steps,
            Source.LIDARR: LidarrSteps(source, times=wishes.times, clock=ground.clock),
            Source.SLSKD: self.slskd.steps,
        }
        self.gates = {Source.SOULSEEK: self.soulseek.is_ours, Source.LIDARR: _always, Source.SLSKD: _always}
        self.problems = {
            Source.SOULSEEK: self.soulseek.problem,
            Source.LIDARR: wishes.lidarr_problem,
            Source.SLSKD: wishes.slskd_problem,
        }

    def network(self) -> PeerNetwork | None:
        """What is searched for people: our own session, else slskd, else nothing."""
        configured = self._wishes.configured()
        if Source.SOULSEEK in configured:
            return self.soulseek.network
        return self.slskd.network if Source.SLSKD in configured else None

    async def keep(self, ended: Ended) -> None:
        """Keep the session on Soulseek, and what we left in slskd in mind; never returns."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.soulseek.keeper.run())
            group.create_task(self.slskd.network.run(ended))

    async def sweep(self, ended: Ended) -> None:
        """Remove what acquisitions that have ended left on the disks; `ended` tells which did."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stages.sweep(ended))
            group.create_task(self.slskd.sweep(ended))


def _always() -> bool:
    return True
