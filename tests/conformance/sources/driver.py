"""Drives the steps of one acquisition in memory, as the engine does: what is kept between steps is plain JSON."""

import asyncio
import json
from datetime import timedelta

from libs.clock import SystemClock
from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.attempt import Progress
from services.acquisition.domain.step import Job, Steps
from tests.conformance.sources.world import SourceWorld

WITHIN = 45.0  # seconds for an acquisition
_LONGEST_WAIT = timedelta(seconds=0.05)


class Driver:
    """One acquisition of the world's album."""

    def __init__(self, world: SourceWorld) -> None:
        invented, now = world.album, SystemClock().now()
        album = Album(
            artist=invented.artist,
            title=invented.title,
            release_group_mbid=invented.mbid,
            year=invented.year,
            tracks=tuple(
                Track(disc=1, number=track.number, title=track.title, duration=timedelta(seconds=track.seconds))
                for track in invented.tracks
            ),
        )
        acquisition = Acquisition(id="acq-1", album=album, source=world.source, created=now, updated=now)
        self.job = Job(acquisition=acquisition)
        self.seen: list[Progress] = []
        self._world = world
        self._steps = world.steps()

    @property
    def acquisition(self) -> Acquisition:
        """As the last step left it."""
        return self.job.acquisition

    @property
    def steps(self) -> Steps:
        """What does the next step."""
        return self._steps

    async def step(self) -> None:
        """One step; its outcome is kept."""
        move = await self._steps.advance(self.job, self._report)
        plan = json.loads(json.dumps(dict(move.plan)))
        self.job = Job(acquisition=move.acquisition, plan=plan)
        await asyncio.sleep(min(move.delay, _LONGEST_WAIT).total_seconds())

    async def lose(self) -> None:
        """One step that is done by a process which ends before its outcome is kept; another one comes after it."""
        await self._world.steps().advance(self.job, self._report)
        self._steps = self._world.steps()

    async def run(self, *, until: State | None = None, loses: bool = False) -> Acquisition:
        """Step by step to the end, or to a state; `loses` does every step twice, by another process each time."""
        async with asyncio.timeout(WITHIN):
            while self.acquisition.active and self.acquisition.state is not until:
                if loses:
                    await self.lose()
                await self.step()
        return self.acquisition

    async def _report(self, progress: Progress) -> None:
        self.seen.append(progress)
