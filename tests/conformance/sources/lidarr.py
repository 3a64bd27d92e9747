"""Lidarr, as the pretended one behaves."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx

from deploy.demo.albums import Album, invent_albums
from deploy.demo.lidarr.scenario import NO_RELEASE, Scenario
from deploy.demo.lidarr.world import LidarrWorld
from libs.clock import SystemClock
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.step import Steps
from services.acquisition.lidarr.client import LidarrAddress, LidarrClient
from services.acquisition.lidarr.limits import Pace
from services.acquisition.lidarr.source import LidarrChoices, LidarrSource
from services.acquisition.metrics import AcquisitionMetrics
from services.acquisition.steps.lidarr import LidarrSteps, LidarrTimes
from tests.conformance.sources.world import Disks

POLL = timedelta(seconds=0.02)
LONG = 60.0


class LidarrInUse:
    """Implements `world.SourceWorld`."""

    source = Source.LIDARR

    def __init__(self, lidarr: LidarrWorld, http: httpx.AsyncClient, disks: Disks, album: Album, other: Album) -> None:
        self.album = album
        self.disks = disks
        self._lidarr = lidarr
        self._http = http
        self._other = other
        self._address: LidarrAddress | None = LidarrAddress(url=lidarr.url, api_key=lidarr.api_key)
        self._metrics = AcquisitionMetrics(Metrics(), SystemClock())

    def steps(self) -> Steps:
        clock = SystemClock()
        client = LidarrClient(
            self._http,
            address=lambda: self._address,
            clock=clock,
            metrics=self._metrics,
            pace=Pace(clock, per_second=1000),
        )
        times = LidarrTimes(poll_interval=POLL, idle_timeout=timedelta(minutes=1))
        return LidarrSteps(LidarrSource(client, choices=LidarrChoices), times=lambda: times, clock=clock)

    async def offer(self) -> None:
        self._lidarr.lidarr.script(self.album, Scenario(download_seconds=0.3))

    async def offer_what_hangs(self) -> None:
        self._lidarr.lidarr.script(self.album, Scenario(download_seconds=LONG))

    async def is_hanging(self) -> bool:
        return bool(self._lidarr.lidarr.downloads.rows)

    def hurry(self) -> None:
        """It is quick already."""

    async def go_away(self) -> None:
        await self._lidarr.go_down()

    async def come_back(self) -> None:
        await self._lidarr.come_back()

    async def forget_credentials(self) -> None:
        self._address = None

    def deliveries(self) -> Counter[str]:
        return Counter({"AlbumSearch": self._lidarr.lidarr.commands.count("AlbumSearch")})

    def leftovers(self) -> list[str]:
        """What Lidarr downloads is Lidarr's."""
        return [str(path) for path in self.disks.staged()]

    async def meddle(self) -> object:
        self._lidarr.lidarr.script(self._other, Scenario(download_seconds=LONG))
        await self._lidarr.lidarr.foreign_grab(self._other)
        return self.foreign()

    def foreign(self) -> object:
        rows = [row for row in self._lidarr.lidarr.downloads.rows if row.albums[0].source == self._other]
        return (self.disks.foreign.read_bytes(), [row.state for row in rows])


@asynccontextmanager
async def open_lidarr(root: Path, album: Album) -> AsyncIterator[LidarrInUse]:
    """A Lidarr that finds no release of the album."""
    [other] = invent_albums(1, seed=77, tracks=1)
    scenarios = {album.mbid: NO_RELEASE}
    async with (
        LidarrWorld(root / "lidarr", (album, other), scenarios=scenarios) as lidarr,
        httpx.AsyncClient(trust_env=False, verify=False) as http,
    ):
        yield LidarrInUse(lidarr, http, Disks(root), album, other)
