"""What MusicBrainz knows of an album, and what becomes of its bad days."""

from dataclasses import replace
from datetime import timedelta

import pytest

from deploy.demo.albums import Album as InventedAlbum
from deploy.demo.http_faults import Fault
from deploy.demo.musicbrainz.catalogue import Group, Medium, Recording, Release, mbid
from deploy.demo.musicbrainz.world import MusicBrainzWorld
from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.knowledge import Edition, Knowledge, KnowledgeAway
from services.acquisition.domain.providers import MusicBrainzAddress
from services.acquisition.knowledge.musicbrainz import MUSICBRAINZ, MusicBrainz
from tests.integration.knowledge.conftest import CONTACT, Suite

HOUR = timedelta(hours=1)


def medium(*titles: str, **more: object) -> Medium:
    tracks = tuple(Recording(title=title, milliseconds=200_000) for title in titles)
    return Medium(**({"tracks": tracks} | more))  # type: ignore[arg-type]


def release(name: str, *media: Medium, **more: object) -> Release:
    return Release(**({"mbid": mbid(name), "title": "Idle Signals", "media": media} | more))  # type: ignore[arg-type]


def group(*releases: Release, name: str = "group", **more: object) -> Group:
    known = {"mbid": mbid(name), "artist": "The Quarries", "title": "Idle Signals", "releases": releases} | more
    return Group(**known)  # type: ignore[arg-type]


PLAIN = release("plain", medium("One", "Two"), date="2001-02-03")
WISH = Album(artist="The Quarries", title="Idle Signals", release_group_mbid=mbid("group"))
NAMED = replace(WISH, release_group_mbid=None)


async def known(suite: Suite, album: Album, *groups: Group, tracks_a_page: int = 500) -> Knowledge | None:
    async with MusicBrainzWorld(*groups, tracks_a_page=tracks_a_page) as world:
        return await suite.musicbrainz(world).knowledge(album)


async def test_an_album_is_known_by_its_release_group(
    suite: Suite, musicbrainz: MusicBrainzWorld, wish: Album, invented: InventedAlbum
) -> None:
    knowledge = await suite.musicbrainz(musicbrainz).knowledge(wish)

    assert knowledge is not None
    assert (knowledge.artist, knowledge.title, knowledge.year) == (invented.artist, invented.title, invented.year)
    assert knowledge.release_group_mbid == invented.mbid
    (edition,) = knowledge.editions
    assert edition.release_mbid == invented.release_mbid
    assert edition.tracks == tuple(
        Track(disc=1, number=one.number, title=one.title, duration=timedelta(milliseconds=int(one.seconds * 1000)))
        for one in invented.tracks
    )


async def test_an_album_that_is_known_is_asked_for_once_a_month(
    suite: Suite, musicbrainz: MusicBrainzWorld, wish: Album
) -> None:
    knower = suite.musicbrainz(musicbrainz)
    first = await knower.knowledge(wish)
    calls = len(musicbrainz.calls)

    suite.clock.advance(timedelta(days=29))
    assert await knower.knowledge(wish) == first
    assert len(musicbrainz.calls) == calls

    suite.clock.advance(timedelta(days=1))
    assert await knower.knowledge(wish) == first
    assert len(musicbrainz.calls) == 2 * calls


async def test_an_album_is_asked_for_again_after_the_time_that_the_settings_say(
    suite: Suite, musicbrainz: MusicBrainzWorld, wish: Album
) -> None:
    address = MusicBrainzAddress(url=musicbrainz.url, contact=CONTACT, cache_ttl=timedelta(hours=2))
    knower = MusicBrainz(suite.client(MUSICBRAINZ), address=lambda: address)
    await knower.knowledge(wish)
    calls = len(musicbrainz.calls)

    suite.clock.advance(timedelta(hours=2))
    await knower.knowledge(wish)

    assert len(musicbrainz.calls) == 2 * calls


@pytest.mark.parametrize("album", [WISH, NAMED])
async def test_an_album_that_nobody_knows_is_asked_for_again_after_an_hour(suite: Suite, album: Album) -> None:
    async with MusicBrainzWorld() as world:
        knower = suite.musicbrainz(world)
        assert [await knower.knowledge(album) for _ in range(2)] == [None, None]
        assert len(world.calls) == 1

        suite.clock.advance(HOUR)
        world.groups.append(group(PLAIN))
        assert await knower.knowledge(album) is not None


@pytest.mark.parametrize("title", ["Idle Signals", "idle signals", "Idle Signals (2011 Remaster)", "Ídle Signals!"])
async def test_an_album_is_found_by_its_names(suite: Suite, title: str) -> None:
    knowledge = await known(suite, replace(NAMED, title=title), group(PLAIN))

    assert knowledge is not None
    assert knowledge.release_group_mbid == mbid("group")


@pytest.mark.parametrize("title", ['"Heroes"', "What? (The Story) \\ AND OR", "A/B: C+D -E ~F*"])
async def test_titles_that_mean_something_to_the_search_are_only_titles(suite: Suite, title: str) -> None:
    knowledge = await known(suite, replace(NAMED, title=title), group(PLAIN, title=title))

    assert knowledge is not None


@pytest.mark.parametrize(
    "other",
    [
        group(PLAIN, title="Idle Signals Live in Harbour"),
        group(PLAIN, title="Idle Signals (live)"),
        group(PLAIN, artist="The Quarries Tribute Band"),
    ],
)
async def test_an_album_with_similar_names_is_not_taken_for_it(suite: Suite, other: Group) -> None:
    assert await known(suite, NAMED, other) is None


SAME_NAMES = (group(PLAIN, name="one", date="2001"), group(PLAIN, name="two", date="2009"))


async def test_an_album_is_meant_rather_than_a_single_of_the_same_name(suite: Suite) -> None:
    knowledge = await known(suite, NAMED, group(PLAIN, name="single", kind="Single"), group(PLAIN, name="album"))

    assert knowledge is not None
    assert knowledge.release_group_mbid == mbid("album")


async def test_of_two_albums_with_the_same_names_neither_is_taken_unless_the_year_tells(suite: Suite) -> None:
    assert await known(suite, NAMED, *SAME_NAMES) is None

    told = await known(suite, replace(NAMED, year=2009), *SAME_NAMES)
    assert told is not None
    assert told.release_group_mbid == mbid("two")


async def test_a_wish_for_one_release_gets_that_one_and_no_other(suite: Suite) -> None:
    deluxe = release("deluxe", medium("One", "Two", "Three"), disambiguation="deluxe")
    knowledge = await known(suite, replace(NAMED, release_mbid=deluxe.mbid), group(PLAIN, deluxe))

    assert knowledge is not None
    assert [edition.release_mbid for edition in knowledge.editions] == [deluxe.mbid]
    assert knowledge.release_group_mbid == mbid("group")


async def test_a_release_that_does_not_exist_is_not_replaced_by_another(suite: Suite) -> None:
    assert await known(suite, replace(WISH, release_mbid=mbid("gone")), group(PLAIN)) is None


def titles(edition: Edition) -> list[tuple[int, int, str]]:
    return [(track.disc, track.number, track.title) for track in edition.tracks]


async def test_only_what_is_heard_and_numbered_is_a_track(suite: Suite) -> None:
    hidden, film = Recording(title="Hidden"), Recording(title="Film", video=True)
    discs = (
        medium("Documentary", format="DVD-Video"),
        medium("One", pregap=hidden, data=(Recording(title="Booklet"),)),
        medium(tracks=(Recording(title="Two"), film)),
        medium(tracks=(film,)),
    )
    knowledge = await known(suite, WISH, group(release("box", *discs)))

    assert knowledge is not None
    assert [titles(edition) for edition in knowledge.editions] == [[(1, 1, "One"), (2, 1, "Two")]]


async def test_a_release_whose_tracks_are_not_all_listed_is_left_out(suite: Suite) -> None:
    unlisted = release("unlisted", medium("One"), Medium(tracks=None))
    knowledge = await known(suite, WISH, group(unlisted, PLAIN))

    assert knowledge is not None
    assert [edition.release_mbid for edition in knowledge.editions] == [PLAIN.mbid]


async def test_bootlegs_are_known_only_where_nothing_is_official(suite: Suite) -> None:
    bootleg = release("bootleg", medium("One", "Two", "Three"), status="Bootleg")
    both, alone = await known(suite, WISH, group(bootleg, PLAIN)), await known(suite, WISH, group(bootleg))

    assert both is not None
    assert [edition.official for edition in both.editions] == [True]
    assert alone is not None
    assert [edition.official for edition in alone.editions] == [False]


async def test_all_pages_are_read_however_few_releases_each_of_them_holds(suite: Suite) -> None:
    several = [release(f"edition {count}", medium(*(str(n) for n in range(count)))) for count in (2, 5, 3)]
    knowledge = await known(suite, WISH, group(*several), tracks_a_page=5)

    assert knowledge is not None
    assert {len(edition.tracks) for edition in knowledge.editions} == {2, 3, 5}


@pytest.mark.parametrize(
    ("album", "fault"),
    [
        (WISH, Fault.UNAVAILABLE),
        (NAMED, Fault.UNAVAILABLE),
        (replace(WISH, release_mbid=PLAIN.mbid), Fault.UNAVAILABLE),
        (WISH, Fault.BUSY),
        (WISH, Fault.PAGE),
        (WISH, Fault.LOST_PAGE),
        (NAMED, Fault.HALF),
        (NAMED, Fault.OTHER),
        (WISH, Fault.REFUSED),
    ],
)
async def test_a_bad_day_is_not_taken_for_an_unknown_album_and_not_remembered(
    suite: Suite, album: Album, fault: Fault
) -> None:
    async with MusicBrainzWorld(group(PLAIN)) as world:
        knower = suite.musicbrainz(world)
        world.faults.always = fault
        with pytest.raises(KnowledgeAway):
            await knower.knowledge(album)

        world.faults.always = None
        suite.clock.advance(MUSICBRAINZ.open_for)
        assert await knower.knowledge(album) is not None


async def test_it_says_how_long_it_wants_to_be_left_alone(suite: Suite) -> None:
    async with MusicBrainzWorld() as world:
        world.faults.retry_after, world.faults.always = "90", Fault.RESTING
        with pytest.raises(KnowledgeAway) as away:
            await suite.musicbrainz(world).knowledge(WISH)

    assert away.value.retry_after == timedelta(seconds=90)


async def test_an_outage_between_pages_gives_no_half_knowledge(suite: Suite) -> None:
    async with MusicBrainzWorld(group(PLAIN)) as world:
        knower = suite.musicbrainz(world)
        world.faults.queue = [Fault.SLOW, *[Fault.UNAVAILABLE] * MUSICBRAINZ.attempts]
        with pytest.raises(KnowledgeAway):
            await knower.knowledge(WISH)


@pytest.mark.parametrize("contact", ["me@example.org", "https://example.org/über\r\nX-Evil: 1"])
async def test_it_is_told_who_calls_and_nothing_more(suite: Suite, contact: str) -> None:
    async with MusicBrainzWorld(group(PLAIN)) as world:
        await suite.musicbrainz(world, contact=contact).knowledge(WISH)

        (agent,) = {call.headers["user-agent"] for call in world.calls}
        assert agent.startswith("lockgroove/")
        assert agent.endswith(" )")
        assert all("x-evil" not in call.headers for call in world.calls)
