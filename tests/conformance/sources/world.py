"""What the suite asks of a source's surroundings: who has the album, how the source goes away, and what it shows."""

from collections import Counter
from pathlib import Path
from typing import Protocol

from deploy.demo.albums import Album as InventedAlbum
from libs.clock import SystemClock
from services.acquisition.audio.inspector import AudioInspector
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.peers import PeerNetwork
from services.acquisition.domain.providers import Taste
from services.acquisition.domain.step import Steps
from services.acquisition.shelf import LiveShelf
from services.acquisition.steps.peers import PeerSteps
from services.acquisition.steps.staging import Staging
from tests.support.knowers import KnowsNothing
from tests.support.memory_records import MemoryRecords

SEARCH_SECONDS = 1.0
WAIT_SECONDS = 20.0  # for a peer's next byte, and in its queue


class SourceWorld(Protocol):
    """One source with its surroundings; nobody has the album until somebody is said to."""

    source: Source
    album: InventedAlbum
    disks: "Disks"

    def steps(self) -> Steps:
        """The steps, as another process of ours would have them."""
        ...

    async def offer(self) -> None:
        """Let somebody have the album."""
        ...

    async def offer_what_hangs(self) -> None:
        """Let somebody have it who never delivers it whole."""
        ...

    async def is_hanging(self) -> bool:
        """Whether the delivery has begun that never ends."""
        ...

    def hurry(self) -> None:
        """Make searches for what nobody has short."""
        ...

    async def go_away(self) -> None:
        """Let the source be unreachable."""
        ...

    async def come_back(self) -> None:
        """Let it be reachable again."""
        ...

    async def forget_credentials(self) -> None:
        """Take away the settings by which it is reached."""
        ...

    def deliveries(self) -> Counter[str]:
        """How many times each thing was asked of the source: files of peers, or searches of Lidarr."""
        ...

    def leftovers(self) -> list[str]:
        """What is running or lying there on our account."""
        ...

    async def meddle(self) -> object:
        """Begin something of somebody else's with the same source; it is returned by `foreign` until touched."""
        ...

    def foreign(self) -> object:
        """That thing of somebody else's, as it is now."""
        ...


class PeerWorld(SourceWorld, Protocol):
    """A source that is a network of peers."""

    async def offer_wrong_content(self, peer: str) -> None:
        """Let a peer have something else under the right names, so that it is asked first."""
        ...


class Disks:
    """Our folders: the library and the downloads, with a file of somebody else's in the latter."""

    def __init__(self, root: Path) -> None:
        self.music, self.downloads = root / "music", root / "downloads"
        self.music.mkdir()
        self.downloads.mkdir()
        self.foreign = self.downloads / "not-ours.flac"
        self.foreign.write_bytes(b"mine")
        self._records = MemoryRecords()

    def steps(self, network: PeerNetwork, source: Source) -> PeerSteps:
        """The steps over a network of peers."""
        return PeerSteps(
            network,
            source=source,
            knower=KnowsNothing(),
            records=self._records,
            taste=Taste,
            inspector=AudioInspector(),
            shelf=LiveShelf(lambda: self.music),
            staging=Staging(lambda: self.downloads),
            clock=SystemClock(),
        )

    def staged(self) -> list[Path]:
        """What lies in the downloads folder that is not somebody else's."""
        return [path for path in self.downloads.rglob("*") if path != self.foreign]
