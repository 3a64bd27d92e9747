"""From the search to the verification: what peers with wrong files deliver never counts as the album."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.demo.albums import Album
from deploy.demo.soulseek.plan import Behaviour, PeerPlan
from services.acquisition.audio.inspector import AudioInspector
from services.acquisition.domain import album as domain
from services.acquisition.domain.listings import file_name
from services.acquisition.domain.queries import queries
from services.acquisition.domain.ranking import RankedCandidate, rank
from services.acquisition.domain.verification import Delivery, findings, named
from services.acquisition.soulseek.session import SoulseekSession

from .conftest import LogIn, OpenNetwork
from .fetching import QUIET

LIMIT = timedelta(seconds=60)


def wish(album: Album, *, listed: bool) -> domain.Album:
    tracks = tuple(
        domain.Track(disc=1, number=track.number, title=track.title, duration=timedelta(seconds=track.seconds))
        for track in album.tracks
    )
    return domain.Album(artist=album.artist, title=album.title, tracks=tracks if listed else ())


async def found(
    session: SoulseekSession, wanted: domain.Album, *, quiet: timedelta | None = None
) -> list[RankedCandidate]:
    return rank(wanted, await session.search(queries(wanted)[0], timedelta(seconds=3), quiet=quiet))


async def delivered(session: SoulseekSession, offer: RankedCandidate, folder: Path) -> list[Delivery]:
    """What arrived."""
    paths = [folder / f"{at}.flac" for at in range(len(offer.selection))]
    announced = [
        await session.download(offer.candidate.peer, pick.file, path, idle_timeout=LIMIT, queue_timeout=LIMIT)
        for pick, path in zip(offer.selection, paths, strict=True)
    ]
    facts = await AudioInspector().inspect(paths)
    return [
        Delivery(pick=pick, transferred=size, facts=fact)
        for pick, size, fact in zip(offer.selection, announced, facts, strict=True)
    ]


@pytest.mark.parametrize("listed", [True, False])
async def test_an_honest_peers_album_is_verified(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path, listed: bool
) -> None:
    world = await network(PeerPlan(username="honest", albums=albums))
    wanted = wish(albums[0], listed=listed)

    async with log_in(world) as session:
        (offer,) = await found(session, wanted, quiet=QUIET)
        deliveries = await delivered(session, offer, tmp_path / "staging")

    assert findings(wanted, deliveries) == []
    verified = named(wanted, deliveries)
    assert [track.title for track in verified.tracks] == [track.title for track in albums[0].tracks]
    assert verified.year == albums[0].year


@pytest.mark.parametrize(
    ("behaviour", "reasons"),
    [
        (Behaviour.OTHER_TAGS, {"WRONG_TAGS"}),
        (Behaviour.TRUNCATED, {"TRUNCATED"}),
        (Behaviour.RENAMED_TEXT, {"NOT_DECODABLE", "DUPLICATE_CONTENT"}),
    ],
)
async def test_wrong_content_is_refused_by_its_name_with_a_track_list_and_without(
    network: OpenNetwork,
    log_in: LogIn,
    albums: tuple[Album, ...],
    tmp_path: Path,
    behaviour: Behaviour,
    reasons: set[str],
) -> None:
    world = await network(PeerPlan(username="wrong", albums=albums, behaviour=behaviour))
    wishes = [wish(albums[0], listed=listed) for listed in (True, False)]

    async with log_in(world) as session:
        candidates = await session.search(queries(wishes[0])[0], LIMIT, quiet=QUIET)
        listed, unlisted = [offer for wanted in wishes for offer in rank(wanted, candidates)]
        deliveries = await delivered(session, listed, tmp_path / "staging")

    as_numbered = [replace(delivery, pick=pick) for delivery, pick in zip(deliveries, unlisted.selection, strict=True)]
    for wanted, these in zip(wishes, (deliveries, as_numbered), strict=True):
        wrong = findings(wanted, these)
        assert {finding.reason for finding in wrong} == reasons
        assert wrong[0].file in {file_name(pick.file.path) for pick in listed.selection}


async def test_another_song_under_the_right_name_and_tags_is_not_even_fetched(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...]
) -> None:
    world = await network(PeerPlan(username="wrong", albums=albums, behaviour=Behaviour.OTHER_AUDIO))

    async with log_in(world) as session:
        assert await found(session, wish(albums[0], listed=True), quiet=QUIET) == []


async def test_without_a_list_another_song_is_told_by_what_most_peers_have(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...]
) -> None:
    wrong = PeerPlan(username="wrong", albums=albums, behaviour=Behaviour.OTHER_AUDIO)
    world = await network(wrong, *(PeerPlan(username=name, albums=albums, speed=1) for name in ("a", "b")))

    async with log_in(world) as session:
        offers = await found(session, wish(albums[0], listed=False))

    assert [offer.candidate.peer for offer in offers] == ["a", "b"]
