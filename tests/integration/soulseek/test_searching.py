"""A search from the API to the peers of a loopback network and back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as shared
from lockgroove.acquisition.v1 import searches_pb2 as pb

from deploy.demo.albums import Album
from deploy.demo.soulseek.plan import Behaviour, PeerPlan
from deploy.demo.soulseek.world import SoulseekWorld
from libs import ids
from libs.clock import SystemClock
from libs.errors import InvalidArgument
from libs.sql.engine import open_database
from libs.sql.paging import PageTokens
from services.acquisition.domain.providers import Taste
from services.acquisition.domain.searching import NothingToSearch
from services.acquisition.peers.store import SqlPeerRecords
from services.acquisition.searches.backlog import SqlBacklog
from services.acquisition.searches.servicer import SearchServicer
from services.acquisition.searches.store import SqlSearches
from services.acquisition.searches.worker import SearchWork
from services.acquisition.soulseek.keeper import KeeperState, SessionKeeper
from services.acquisition.soulseek.metrics import SoulseekMetrics
from services.acquisition.soulseek.network import SoulseekNetwork, TimeLimits
from services.acquisition.soulseek.search_gate import SearchGate
from services.acquisition.soulseek.search_log import MemorySearchLog
from services.acquisition.tables import metadata

from .conftest import OpenNetwork, OpenSession, account_on
from .fetching import until

CLOCK = SystemClock()
CONTEXT: Any = None  # the servicer does not look at it


@pytest.fixture
async def world(network: OpenNetwork, albums: tuple[Album, ...]) -> SoulseekWorld:
    liar = PeerPlan(username="liar", albums=albums, behaviour=Behaviour.OTHER_AUDIO, speed=1)
    return await network(liar, PeerPlan(username="honest", albums=albums, speed=5000))


@pytest.fixture
async def soulseek(
    world: SoulseekWorld, opened: OpenSession, soulseek_metrics: SoulseekMetrics
) -> AsyncIterator[SoulseekNetwork]:
    keeper = SessionKeeper(hold=lambda _: nullcontext(), open_session=opened, metrics=soulseek_metrics, clock=CLOCK)
    running = asyncio.create_task(keeper.run())
    keeper.follow(account_on(world))
    await until(lambda: keeper.state is KeeperState.CONNECTED)
    yield SoulseekNetwork(keeper, limits=lambda: TimeLimits(search=timedelta(seconds=2)))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def servicer(soulseek: SoulseekNetwork, tmp_path: Path) -> AsyncIterator[SearchServicer]:
    tokens, gate = PageTokens(b"key"), SearchGate(MemorySearchLog(), clock=CLOCK)
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/test.db", schema="test") as database:
        async with database.writing() as connection:
            await connection.run_sync(metadata.create_all)
        work = SearchWork(
            SqlBacklog(database),
            network=lambda: soulseek,
            is_ours=lambda: True,
            records=SqlPeerRecords(database, tokens=tokens, clock=CLOCK),
            taste=Taste,
            runner="here",
            clock=CLOCK,
        )
        searches = SqlSearches(database, tokens=tokens, gate=gate)
        async with _running(work):
            yield SearchServicer(searches, configured=lambda: True, begun=work.wake, new_id=ids.new)


@asynccontextmanager
async def _running(work: SearchWork) -> AsyncIterator[None]:
    running = asyncio.create_task(work.run())
    yield
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def ended(servicer: SearchServicer, wanted: pb.Search) -> pb.Search:
    begun = await servicer.CreateSearch(pb.CreateSearchRequest(search=wanted), CONTEXT)
    assert begun.state == pb.Search.RUNNING
    async with asyncio.timeout(30):
        while (found := await servicer.GetSearch(pb.GetSearchRequest(name=begun.name), CONTEXT)).state == begun.state:
            await asyncio.sleep(0.05)
    return found


async def test_a_query_shows_what_peers_say_of_themselves(servicer: SearchServicer, albums: tuple[Album, ...]) -> None:
    found = await ended(servicer, pb.Search(query=f"  {albums[0].title}  FLAC "))

    assert [(offer.peer, offer.bytes_per_second, offer.free_slot) for offer in found.offers] == [
        ("honest", 5000, True),
        ("liar", 1, True),
    ]
    assert all(len(offer.files) == 5 and offer.files[0].size_bytes for offer in found.offers)


async def test_an_albums_offers_are_ranked_and_what_does_not_suit_is_left_out(
    servicer: SearchServicer, albums: tuple[Album, ...]
) -> None:
    album = albums[0]
    tracks = [
        shared.Track(number=track.number, title=track.title, duration_ms=int(track.seconds * 1000))
        for track in album.tracks
    ]
    found = await ended(servicer, pb.Search(album=shared.Album(artist=album.artist, title=album.title, tracks=tracks)))

    (offer,) = found.offers
    assert offer.peer == "honest"
    assert sum(offer.score.values()) > 60


@pytest.mark.parametrize(
    "wanted",
    [
        pb.Search(),
        pb.Search(query="   "),
        pb.Search(query="* - ?"),
        pb.Search(query="both", album=shared.Album(artist="a", title="b")),
        pb.Search(album=shared.Album(artist="a")),
    ],
)
async def test_a_search_for_nothing_is_refused(servicer: SearchServicer, wanted: pb.Search) -> None:
    with pytest.raises(InvalidArgument):
        await servicer.CreateSearch(pb.CreateSearchRequest(search=wanted), CONTEXT)


async def test_without_a_network_no_search_begins(servicer: SearchServicer) -> None:
    servicer._configured = lambda: False

    with pytest.raises(NothingToSearch, match="soulseek"):
        await servicer.CreateSearch(pb.CreateSearchRequest(search=pb.Search(query="lorem")), CONTEXT)
