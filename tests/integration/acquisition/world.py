"""One service that acquires from peers, with its disks, and the network in memory around it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from libs.clock import SystemClock
from services.acquisition.audio.inspector import AudioInspector
from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Progress, Source
from services.acquisition.domain.knowledge import Knower
from services.acquisition.domain.peers import PeerNetwork
from services.acquisition.domain.providers import Taste
from services.acquisition.domain.publishing import Recogniser, Shelf
from services.acquisition.domain.soulseek_plan import SEARCH_DELAYS, SoulseekPlan
from services.acquisition.domain.step import Job, Move
from services.acquisition.shelf import LiveShelf
from services.acquisition.steps.peers import PeerSteps
from services.acquisition.steps.staging import Staging
from tests.integration.acquisition.network import MemoryNetwork
from tests.support.knowers import KnowsNothing
from tests.support.memory_records import MemoryRecords


@dataclass
class World:
    """The steps with the real disk, the real decoder and the real library."""

    folder: Path
    album: Album
    network: MemoryNetwork = field(default_factory=MemoryNetwork)
    records: MemoryRecords = field(default_factory=MemoryRecords)
    taste: Taste = field(default_factory=Taste)
    heard: list[Progress] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.music.mkdir(exist_ok=True)
        self.steps = self.steps_with()

    @property
    def music(self) -> Path:
        return self.folder / "music"

    @property
    def downloads(self) -> Path:
        return self.folder / "downloads"

    def steps_with(
        self,
        *,
        network: PeerNetwork | None = None,
        shelf: Shelf | None = None,
        knower: Knower | None = None,
        recogniser: Recogniser | None = None,
    ) -> PeerSteps:
        return PeerSteps(
            network or self.network,
            source=Source.SOULSEEK,
            knower=knower or KnowsNothing(),
            records=self.records,
            taste=lambda: self.taste,
            inspector=AudioInspector(),
            recogniser=recogniser,
            shelf=shelf or LiveShelf(lambda: self.music),
            staging=Staging(lambda: self.downloads),
            clock=SystemClock(),
        )

    def job(self, state: State = State.QUEUED) -> Job:
        now = SystemClock().now()
        return Job(
            acquisition=Acquisition(
                id="acq-1", album=self.album, source=Source.SOULSEEK, created=now, updated=now, state=state
            )
        )

    def last_search(self) -> Job:
        """An acquisition that does not search again after this time."""
        return replace(self.job(), plan=SoulseekPlan(searches=len(SEARCH_DELAYS)).to_json())

    async def run(self, job: Job, *, until: State | None = None) -> tuple[Acquisition, list[Move]]:
        """Step by step, as the engine does, to the end, to a pause or to a state."""
        moves: list[Move] = []
        while True:
            move = await self.steps.advance(job, self.hear)
            moves.append(move)
            if not move.acquisition.active or move.delay or move.acquisition.state is until:
                return move.acquisition, moves
            job = Job(acquisition=move.acquisition, plan=move.plan)

    async def hear(self, progress: Progress) -> None:
        self.heard.append(progress)

    def published(self) -> list[str]:
        return sorted(str(path.relative_to(self.music)) for path in self.music.rglob("*") if path.is_file())

    def staged(self) -> list[Path]:
        return [path for path in self.downloads.rglob("*") if path.is_file()]


def states(moves: Sequence[Move]) -> list[State]:
    return [move.acquisition.state for move in moves]
