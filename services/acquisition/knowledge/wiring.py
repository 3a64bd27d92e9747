"""Those who know albums, put together."""

from collections.abc import Callable

from libs.clock import Clock
from libs.outbound.answers import SqlAnswers
from libs.outbound.breaker import Breaker
from libs.outbound.client import ProviderClient
from libs.outbound.http import httpx
from libs.outbound.metrics import OutboundMetrics
from libs.outbound.provider import Provider
from libs.outbound.slots import SqlCallSlots
from libs.sql.engine import Database
from libs.telemetry import Telemetry
from services.acquisition import tables
from services.acquisition.domain.knowledge import Knower
from services.acquisition.domain.providers import LastfmAddress, MusicBrainzAddress
from services.acquisition.knowledge.chain import KnowerChain
from services.acquisition.knowledge.lastfm import LASTFM, LastfmCorrections
from services.acquisition.knowledge.lidarr import LidarrLibrary, LidarrReads
from services.acquisition.knowledge.musicbrainz import MUSICBRAINZ, MusicBrainz


def open_knower(
    database: Database,
    http: httpx.AsyncClient,
    *,
    lidarr: LidarrReads,
    musicbrainz: Callable[[], MusicBrainzAddress | None],
    lastfm: Callable[[], LastfmAddress | None],
    breakers: dict[str, Breaker],
    telemetry: Telemetry,
    clock: Clock,
) -> Knower:
    """Lidarr's library, then MusicBrainz, with Last.fm's corrections; each as the settings of the moment say.

    The `breakers` of providers are added to those that are there.
    """
    slots, answers = SqlCallSlots(database, tables.call_slot), SqlAnswers(database, tables.cached_answer)
    metrics = OutboundMetrics(telemetry.metrics, clock)

    def client(provider: Provider) -> ProviderClient:
        made = ProviderClient(
            provider, http, slots=slots, answers=answers, metrics=metrics, tracer=telemetry.tracer, clock=clock
        )
        breakers[provider.name] = made.breaker
        return made

    return KnowerChain(
        [LidarrLibrary(lidarr), MusicBrainz(client(MUSICBRAINZ), address=musicbrainz)],
        corrections=LastfmCorrections(client(LASTFM), address=lastfm),
    )
