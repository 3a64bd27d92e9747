"""Those who know albums, on loopback, and an album that they know."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from deploy.demo.albums import Album as InventedAlbum
from deploy.demo.albums import invent_albums
from deploy.demo.lastfm.world import LastfmWorld
from deploy.demo.musicbrainz.catalogue import group_of
from deploy.demo.musicbrainz.world import MusicBrainzWorld
from libs.clock import ManualClock
from libs.outbound.answers import MemoryAnswers
from libs.outbound.client import ProviderClient
from libs.outbound.metrics import OutboundMetrics
from libs.outbound.provider import Provider
from libs.outbound.slots import MemoryCallSlots
from libs.telemetry.metrics import Metrics
from libs.telemetry.tracing import LocalTracer
from services.acquisition.domain.album import Album
from services.acquisition.domain.providers import LastfmAddress, MusicBrainzAddress
from services.acquisition.knowledge.lastfm import LASTFM, LastfmCorrections
from services.acquisition.knowledge.musicbrainz import MUSICBRAINZ, MusicBrainz

TLS = ssl.create_default_context()  # takes longer to make than a test
CONTACT = "me@example.org"


@dataclass
class Suite:
    """What the suite's side shares: a clock that the test moves, turns, and what is remembered."""

    http: httpx.AsyncClient
    clock: ManualClock = field(default_factory=lambda: ManualClock(datetime(2026, 1, 1, tzinfo=UTC)))

    def __post_init__(self) -> None:
        self._slots, self._answers = MemoryCallSlots(self.clock), MemoryAnswers(self.clock)
        self._metrics = OutboundMetrics(Metrics(), self.clock)

    def client(self, provider: Provider) -> ProviderClient:
        return ProviderClient(
            replace(provider, interval=timedelta(), pause=timedelta(), patience=timedelta()),
            self.http,
            slots=self._slots,
            answers=self._answers,
            metrics=self._metrics,
            tracer=LocalTracer(),
            clock=self.clock,
        )

    def musicbrainz(self, world: MusicBrainzWorld, *, contact: str = CONTACT) -> MusicBrainz:
        address = MusicBrainzAddress(url=world.url, contact=contact)
        return MusicBrainz(self.client(MUSICBRAINZ), address=lambda: address)

    def lastfm(self, world: LastfmWorld, *, api_key: str | None = None) -> LastfmCorrections:
        address = LastfmAddress(url=world.url, api_key=api_key or world.api_key)
        return LastfmCorrections(self.client(LASTFM), address=lambda: address)


@pytest.fixture
async def suite() -> AsyncIterator[Suite]:
    async with httpx.AsyncClient(trust_env=False, verify=TLS) as http:
        yield Suite(http)


@pytest.fixture(scope="session")
def invented() -> InventedAlbum:
    return invent_albums(1, seed=11, tracks=3)[0]


@pytest.fixture
def wish(invented: InventedAlbum) -> Album:
    """The album as most people ask for it."""
    return Album(artist=invented.artist, title=invented.title, release_group_mbid=invented.mbid)


@pytest.fixture
async def musicbrainz(invented: InventedAlbum) -> AsyncIterator[MusicBrainzWorld]:
    async with MusicBrainzWorld(group_of(invented)) as world:
        yield world
